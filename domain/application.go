package domain

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Application is a website that users sign in to with this server: it sends them here, and they return with a session.
type Application struct {
	Origin      string        // as browsers serialise it (RFC 6454, section 6.2)
	Name        string        // for users
	ForwardAuth bool          // whether it is behind a reverse proxy that asks this server about each request
	MaxAge      time.Duration // how long an authentication counts there; 0 is as long as its session. With ForwardAuth only.
}

// RequireRecentAuth returns ErrStepUpRequired if the authentication is too old for the application. An authentication more than
// clockLeeway in the future, which a wrong clock causes, is too old.
func (a Application) RequireRecentAuth(authTime, now time.Time) error {
	if age := now.Sub(authTime); a.MaxAge > 0 && (age > a.MaxAge || age < -clockLeeway) {
		return ErrStepUpRequired
	}
	return nil
}

// Applications are the applications that users may return to.
type Applications []Application

// ByOrigin returns the application of an origin, compared byte for byte.
func (a Applications) ByOrigin(origin string) (found Application, ok bool) {
	i := slices.IndexFunc(a, func(app Application) bool { return app.Origin == origin })
	if i < 0 {
		return Application{}, false
	}
	return a[i], true
}

// maxReturnAddressLength is what every browser and server accepts as a URL.
const maxReturnAddressLength = 2048

// ReturnAddress is a URL of an application. A browser that opens it requests that application's origin, and no other.
type ReturnAddress struct {
	text string
	app  Application
}

// ParseReturnTo returns the address if a user may return to it: the origin of an application, byte for byte, and then nothing, a path
// or a query. It returns an *InvalidInput for any other text.
//
// The rule needs no parser, so no two parsers can disagree about it: after the origin only "/" and "?" end the authority
// (RFC 3986, section 3.2), and characters that browsers remove or replace are rejected (URL Standard, section 4.4). A fragment is
// rejected, since parameters could not be added after it (RFC 6749, section 3.1.2).
func (a Applications) ParseReturnTo(s string) (ReturnAddress, error) {
	if len(s) > maxReturnAddressLength || strings.ContainsFunc(s, isNotURLChar) {
		return ReturnAddress{}, errReturnNotAllowed
	}
	for _, app := range a {
		if rest, found := strings.CutPrefix(s, app.Origin); found && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			return ReturnAddress{s, app}, nil
		}
	}
	return ReturnAddress{}, errReturnNotAllowed
}

var errReturnNotAllowed = Invalid("return_to", "return_not_allowed", "this must be an address of an application that is allowed here, without a fragment; the operator lists their origins in KEYLODGE_APPLICATIONS")

// isNotURLChar reports whether r is no character of RFC 3986, or "#".
func isNotURLChar(r rune) bool {
	isAlphanumeric := '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
	return !isAlphanumeric && !strings.ContainsRune("-._~:/?[]@!$&'()*+,;=%", r)
}

func (r ReturnAddress) String() string           { return r.text }
func (r ReturnAddress) Application() Application { return r.app }

// requireNoParameters returns an *InvalidInput if the address already has one of the parameters of withParameters: the application
// could read either.
func (r ReturnAddress) requireNoParameters() error {
	_, query, _ := strings.Cut(r.text, "?")
	values, err := url.ParseQuery(query)
	if err != nil || values.Has("code") || values.Has("state") {
		return Invalid("return_to", "return_not_allowed", "the query of this address must be valid, without the parameters code and state")
	}
	return nil
}

// withParameters returns the address with an authorization code and a state (RFC 6749, section 4.1.2). An empty state is omitted.
func (r ReturnAddress) withParameters(code AuthorizationCodeSecret, state string) string {
	separator := "?"
	if strings.Contains(r.text, "?") {
		separator = "&"
	}
	address := r.text + separator + "code=" + code.Reveal()
	if state != "" {
		address += "&state=" + url.QueryEscape(state)
	}
	return address
}
