package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// optionsResponse is what every …/options call answers.
type optionsResponse struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
	ExpiresAt   timestamp.Time  `json:"expires_at"`
}

// renderOptions answers an options call, and gives the browser that made it what it has to bring back.
func (s *server) renderOptions(c *fiber.Ctx, by browser, started ceremony.Begun) error {
	s.cookies.setBrowser(c, started.ChallengeID, by.newValue)
	return c.JSON(optionsResponse{started.ChallengeID.String(), started.Options, timestamp.Of(started.ExpiresAt)})
}

// ceremonyBrowser is the browser that a ceremony is bound to, if the request came from one that will bring cookies back.
func (s *server) ceremonyBrowser(c *fiber.Ctx) browser {
	if s.provenance(c) != provenanceSameSite {
		return browser{}
	}
	return s.cookies.loadOrNewBrowser(c)
}

// client describes the caller to the use cases. A token that is none is as good as no token.
func (s *server) client(c *fiber.Ctx) identity.Client {
	token, _ := s.sessionToken(c)
	return identity.Client{UserAgent: c.Get(fiber.HeaderUserAgent), IP: s.clientIP(c), RequestID: requestID(c), SessionToken: token}
}

// signInClient is a visitor who wants a session, carried as they say.
func (s *server) signInClient(c *fiber.Ctx, transport string) (identity.Client, error) {
	visitor := s.client(c)
	switch domain.Transport(transport) {
	case "", domain.TransportCookie:
		if s.provenance(c) == provenanceCrossSite {
			return visitor, domain.Invalid("transport", "unsupported_transport", `no cookie reaches a page on another site; ask for "bearer"`)
		}
		visitor.Transport = domain.TransportCookie
	case domain.TransportBearer:
		visitor.Transport = domain.TransportBearer
	default:
		return visitor, domain.Invalid("transport", "unsupported_transport", `this must be "cookie" or "bearer"`)
	}
	return visitor, nil
}

// readCredential reads the credential of a verify call by itself, after the rest of the body: an answer that names its
// challenge was an attempt, also if it is out of shape.
func readCredential[C interface{ answer() (A, error) }, A any](raw jsontext.Value) (A, error) {
	var credential C
	if len(raw) > 0 {
		if err := strictjson.Unmarshal(raw, &credential); err != nil {
			var none A
			return none, malformedCredential{prefixField("credential", invalidBody(err))}
		}
	}
	return credential.answer()
}

// malformedCredential has a member of the wrong type; nothing else can be said about its members then.
type malformedCredential struct{ error }

func (u malformedCredential) Unwrap() error { return u.error }

// checkVerifyInput returns what is wrong with the members of a verify call, or nil. The challenge of an answer that is out of shape is
// spent; another member's fault, such as a name that is too long, leaves it for the same answer.
func (s *server) checkVerifyInput(c *fiber.Ctx, id domain.ChallengeID, badID, badCredential error, others ...error) error {
	faults := domain.JoinInvalid(append([]error{badID, badCredential}, others...)...)
	var unread malformedCredential
	if errors.As(badCredential, &unread) {
		faults = unread.error
	}
	var invalid *domain.InvalidInput
	if badID != nil || badCredential == nil || !errors.As(faults, &invalid) {
		return faults
	}
	return s.usecases.Ceremonies.RejectMalformed.Execute(c.UserContext(), id, domain.RejectMalformed(invalid))
}

// registrationCredential is RegistrationResponseJSON (WebAuthn Level 3, section 5.1).
type registrationCredential struct {
	publicKeyCredential
	Response struct {
		ClientDataJSON    binary   `json:"clientDataJSON"`
		AttestationObject binary   `json:"attestationObject"`
		Transports        []string `json:"transports"`
	} `json:"response"`
}

func (r registrationCredential) answer() (ports.RegistrationAnswer, error) {
	err := domain.JoinInvalid(r.check(),
		requireMember("credential.response.clientDataJSON", r.Response.ClientDataJSON),
		requireMember("credential.response.attestationObject", r.Response.AttestationObject))
	return ports.RegistrationAnswer{
		ID: r.ID, ClientDataJSON: r.Response.ClientDataJSON, AttestationObject: r.Response.AttestationObject,
		Transports: r.Response.Transports, Attachment: r.Attachment, Extensions: json.RawMessage(r.Extensions),
	}, err
}

// authenticationCredential is AuthenticationResponseJSON (section 5.1).
type authenticationCredential struct {
	publicKeyCredential
	Response struct {
		ClientDataJSON    binary `json:"clientDataJSON"`
		AuthenticatorData binary `json:"authenticatorData"`
		Signature         binary `json:"signature"`
		UserHandle        binary `json:"userHandle"`
	} `json:"response"`
}

func (a authenticationCredential) answer() (ports.AuthenticationAnswer, error) {
	err := domain.JoinInvalid(a.check(),
		requireMember("credential.response.clientDataJSON", a.Response.ClientDataJSON),
		requireMember("credential.response.authenticatorData", a.Response.AuthenticatorData),
		requireMember("credential.response.signature", a.Response.Signature))
	return ports.AuthenticationAnswer{
		ID: a.ID, ClientDataJSON: a.Response.ClientDataJSON, AuthenticatorData: a.Response.AuthenticatorData,
		Signature: a.Response.Signature, UserHandle: a.Response.UserHandle,
		Attachment: a.Attachment, Extensions: json.RawMessage(a.Extensions),
	}, err
}

// publicKeyCredential is what both forms share.
type publicKeyCredential struct {
	ID         binary         `json:"id"`
	RawID      binary         `json:"rawId"`
	Type       string         `json:"type"`
	Attachment string         `json:"authenticatorAttachment"`
	Extensions jsontext.Value `json:"clientExtensionResults"`
}

func (p publicKeyCredential) check() error {
	var wrongType, wrongRawID, wrongExtensions error
	if p.Type != "public-key" {
		wrongType = domain.Invalid("credential.type", "unsupported_type", `this must be "public-key"`)
	}
	if p.RawID != nil && !bytes.Equal(p.RawID, p.ID) {
		wrongRawID = domain.Invalid("credential.rawId", "mismatch", "this must be the same as credential.id")
	}
	if kind := p.Extensions.Kind(); len(p.Extensions) > 0 && kind != '{' && kind != 'n' {
		wrongExtensions = domain.Invalid("credential.clientExtensionResults", "wrong_type", "this must be an object")
	}
	return domain.JoinInvalid(requireMember("credential.id", p.ID), wrongRawID, wrongType, wrongExtensions)
}

func requireMember(field string, value []byte) error {
	if len(value) == 0 {
		return domain.Invalid(field, "required", "this member is required")
	}
	return nil
}

func parseChallengeID(s string) (domain.ChallengeID, error) {
	id, err := domain.ParseChallengeID(s)
	if err != nil {
		return id, domain.Invalid("challenge_id", "invalid_id", "send the challenge_id of the options call")
	}
	return id, nil
}
