package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

const tokensFile = "../docs/security/tokens.md"

// TestTokenTable checks the domain's table of tokens over HTTP: it presents each kind of token in every place and for every
// use, and causes each end for each kind of token.
// Requirement: ASVS-7.4.1, ASVS-9.2.1
func TestTokenTable(t *testing.T) {
	t.Parallel()
	engines := map[string]func(*config.Config){"SQLite": func(*config.Config) {}, "PostgreSQL": onPostgres(t, nil)}
	for engine, configure := range engines {
		t.Run(engine, func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, combine(withForwardAuth, trustLoopback, configure))
			for _, kind := range domain.TokenKinds {
				for _, use := range domain.TokenUses {
					t.Run(fmt.Sprintf("%s/may %s", kind, use), func(t *testing.T) {
						h := newTokenHolder(t, s, clock, kind)
						if accepted := h.accepted(use, h.token); accepted != kind.Permits(use) {
							t.Errorf("accepted: %t, want %t", accepted, kind.Permits(use))
						}
					})
				}
				for _, end := range domain.TokenEnds {
					t.Run(fmt.Sprintf("%s/ends by %s", kind, end), func(t *testing.T) {
						h := newTokenHolder(t, s, clock, kind)
						use := typicalUse[kind]
						tokenEnds[end](h)
						if accepted := h.accepted(use, h.token); accepted == kind.EndedBy(end) {
							t.Errorf("accepted afterwards: %t, want %t", accepted, !kind.EndedBy(end))
						}
					})
				}
				t.Run(fmt.Sprintf("%s/ends by age", kind), func(t *testing.T) {
					h := newTokenHolder(t, s, clock, kind)
					clock.advance(tokenAges[kind] - time.Second)
					if !h.accepted(typicalUse[kind], h.token) {
						t.Error("rejected before its time")
					}
				})
				t.Run(fmt.Sprintf("%s/ended by age", kind), func(t *testing.T) {
					h := newTokenHolder(t, s, clock, kind)
					clock.advance(tokenAges[kind])
					if h.accepted(typicalUse[kind], h.token) {
						t.Error("accepted after its time")
					}
				})
			}
		})
	}
}

var typicalUse = map[domain.TokenKind]domain.TokenUse{
	domain.TokenSessionCookie: domain.UseAccount, domain.TokenAccess: domain.UseAccount, domain.TokenService: domain.UseServices,
	domain.TokenRefresh: domain.UseRefresh, domain.TokenRecoveryGrant: domain.UseEnrol,
	domain.TokenAuthorizationCode: domain.UseRedeem, domain.TokenForwardAuth: domain.UseForward,
}

var tokenAges = map[domain.TokenKind]time.Duration{
	domain.TokenSessionCookie: 7 * 24 * time.Hour, domain.TokenAccess: 5 * time.Minute, domain.TokenService: 5 * time.Minute,
	domain.TokenRefresh: 7 * 24 * time.Hour, domain.TokenRecoveryGrant: 10 * time.Minute,
	domain.TokenAuthorizationCode: time.Minute, domain.TokenForwardAuth: 24 * time.Hour,
}

// tokenHolder is Ada, with an account, backup codes, and a token of one kind that was copied.
type tokenHolder struct {
	t       *testing.T
	server  *server
	clock   *clock
	ada     *person // in the session that the token belongs to
	userRef domain.UserRef
	codes   []string
	token   string
	back    returning // of an authorization code
}

var tokenHolders atomic.Int64

func newTokenHolder(t *testing.T, s *server, clock *clock, kind domain.TokenKind) *tokenHolder {
	t.Helper()
	e := &env{t: t, clock: clock, driver: httpDriver{s}}
	ada := e.person("Ada", phone)
	ada.email = fmt.Sprintf("ada.%d@example.org", tokenHolders.Add(1))
	h := &tokenHolder{t: t, server: s, clock: clock, ada: ada, userRef: domain.UserRef{Email: domain.Email(ada.email)}}
	if kind == domain.TokenAccess || kind == domain.TokenRefresh {
		ada.apiDevice().api.useBearerTokens()
	}
	ada.signsUp()
	h.codes = ada.makesBackupCodes()
	api := ada.apiDevice().api
	switch kind {
	case domain.TokenSessionCookie:
		h.token = api.sessionToken()
	case domain.TokenAccess:
		h.token = api.tokenPair().access
	case domain.TokenRefresh:
		h.token = api.tokenPair().refresh
	case domain.TokenService:
		h.token = h.serviceToken("Cookie", sessionCookie+"="+api.sessionToken())
	case domain.TokenAuthorizationCode:
		h.back = ada.returnsToApp()
		h.token = h.back.code
	case domain.TokenForwardAuth:
		b := s.forwardedBrowser(t, wiki, ada)
		b.signIn("/")
		h.token = b.jar["__Host-keylodge_forward_auth"]
	case domain.TokenRecoveryGrant:
		h.token = api.redeem(recoveryProof{email: ada.email, backupCode: h.codes[0]}).must(t)
	}
	return h
}

func (h *tokenHolder) serviceToken(headers ...string) string {
	h.t.Helper()
	var issued client.AccessToken
	response := h.server.send(h.t, http.MethodPost, "/v1/session/token", "", append(headers, "X-CSRF-Token", h.csrfToken(headers...))...)
	if err := json.Unmarshal(response.Body, &issued); err != nil || response.StatusCode != http.StatusOK {
		h.t.Fatalf("status %d, body %s", response.StatusCode, response.Body)
	}
	return issued.AccessToken
}

func (h *tokenHolder) csrfToken(headers ...string) string {
	var body client.SessionResponse
	_ = json.Unmarshal(h.server.send(h.t, http.MethodGet, "/v1/csrf", "", headers...).Body, &body) // "" if the token is not a cookie
	return body.CSRFToken
}

// accepted presents a token for a use in every place where a client can send one, and reports whether it was accepted in any.
func (h *tokenHolder) accepted(use domain.TokenUse, token string) bool {
	h.t.Helper()
	body := func(member string) string { return `{"` + member + `":"` + token + `"}` }
	switch use {
	case domain.UseAccount:
		return h.isAccepted(http.MethodGet, "/v1/me", "", token) && h.isAccepted(http.MethodPatch, "/v1/me", `{"display_name":"Ada"}`, token)
	case domain.UseSensitive:
		return h.isAccepted(http.MethodPost, "/v1/me/passkeys/options", "", token) && h.isAccepted(http.MethodPost, "/v1/me/recovery/totp", "", token)
	case domain.UseStepUp:
		return h.isAccepted(http.MethodPost, "/v1/session/step-up/options", "", token)
	case domain.UseIssue:
		return h.isAccepted(http.MethodPost, "/v1/session/token", "", token)
	case domain.UseRefresh:
		return h.isAccepted(http.MethodPost, "/v1/session/refresh", body("refresh_token"), token)
	case domain.UseEnrol:
		return h.isAccepted(http.MethodPost, "/v1/recovery/options", body("grant_token"), token)
	case domain.UseAuthorize:
		return h.isAccepted(http.MethodPost, "/v1/session/code", `{"return_to":"`+appCallback+`","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}`, token)
	case domain.UseRedeem:
		body := `{"code":"` + token + `","code_verifier":"` + h.back.verifier + `","return_to":"` + appCallback + `"}`
		return h.isAccepted(http.MethodPost, "/v1/session/redeem", body, token)
	case domain.UseForward:
		return h.isAccepted(http.MethodGet, "/v1/forward-auth", "", token)
	case domain.UseServices:
		return h.verifiesByJWKS(token)
	}
	h.t.Fatalf("the use %q is new: add it to tokenHolder.accepted", use)
	return false
}

func (h *tokenHolder) isAccepted(method, path, body, token string) bool {
	h.t.Helper()
	cookie := []string{"Cookie", sessionCookie + "=" + token}
	for _, headers := range [][]string{
		append(cookie, "X-CSRF-Token", h.csrfToken(cookie...)),
		{"Authorization", "Bearer " + token},
		append(byNginx(wiki, "/"), "Cookie", "__Host-keylodge_forward_auth="+token),
	} {
		switch got := h.server.send(h.t, method, path, body, headers...); got.StatusCode {
		case http.StatusOK, http.StatusCreated:
			return true
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		default:
			h.t.Fatalf("%s %s: %d %s", method, path, got.StatusCode, got.Body)
		}
	}
	return false
}

// verifiesByJWKS verifies the token as a service does that has only the URL of the keys.
func (h *tokenHolder) verifiesByJWKS(token string) bool {
	h.t.Helper()
	keys, err := jwk.Fetch(h.t.Context(), h.server.origin+"/.well-known/jwks.json", jwk.WithHTTPClient(&http.Client{Transport: h.server.transport}))
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(h.server.origin), jwt.WithAudience(h.server.origin),
		jwt.WithRequiredClaim("exp"), jwt.WithClock(jwt.ClockFunc(h.clock.Now)))
	return err == nil
}

var tokenEnds = map[domain.TokenEnd]func(*tokenHolder){
	domain.EndUse: func(h *tokenHolder) {
		api := h.ada.apiDevice().api
		if got := api.refresh(h.token); got.ok() { // and its successor, because a token may be retried until its successor is used
			h.ada.requireOK(api.refresh(got.value.refresh))
		}
		if h.back.code != "" {
			h.back.redeem(api).must(h.t)
		}
		if strings.HasPrefix(h.token, "klg_") {
			h.ada.device.useAuthenticator(securityKey)
			h.ada.requireOK(h.ada.apiDevice().registerWithGrant(h.token))
		}
	},
	domain.EndSignOut: func(h *tokenHolder) { h.ada.signsOut() },
	domain.EndRevocation: func(h *tokenHolder) {
		other := h.ada.onSecondDevice()
		h.ada.requireOK(other.device.revokeOtherSessions())
	},
	domain.EndStepUp: func(h *tokenHolder) { h.ada.stepsUp() },
	domain.EndRecovery: func(h *tokenHolder) {
		other := (&env{t: h.t, clock: h.clock, driver: httpDriver{h.server}}).person("Ada", phone)
		h.ada.requireOK(other.device.recover(recoveryProof{email: h.ada.email, backupCode: h.codes[1]}))
	},
	domain.EndPasskeyRemoved: func(h *tokenHolder) {
		first := h.ada.listPasskeys()[0]
		h.ada.addsPasskey("Second", securityKey)
		other := h.ada.onSecondDevice() // with the second passkey
		h.ada.requireOK(other.device.removePasskey(first.id))
	},
	domain.EndFactorReplaced: func(h *tokenHolder) {
		h.ada.requireOK(h.ada.device.makeBackupCodes())
	},
	domain.EndDisabled: func(h *tokenHolder) {
		if _, err := h.server.app.UseCases().Admin.DisableUser(h.t.Context(), h.userRef); err != nil {
			h.t.Fatal(err)
		}
	},
	domain.EndDeleted: func(h *tokenHolder) { h.ada.requireOK(h.ada.device.deleteAccount()) },
}

// TestTokenTable_document checks that docs/security/tokens.md has the domain's table.
func TestTokenTable_document(t *testing.T) {
	const begin, end = "<!-- the table of domain.TokenKind -->\n\n", "\n<!-- end of the table -->"
	page, err := os.ReadFile(tokensFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(page), begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s does not have the comments that enclose the table", tokensFile)
	}
	want := before + begin + describeTokens() + end + after
	if *update {
		if err := os.WriteFile(tokensFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != want {
		t.Errorf("%s does not match the table: run `make generate`", tokensFile)
	}
}

func describeTokens() string {
	var b strings.Builder
	row := func(what string, cell func(domain.TokenKind) string) {
		fmt.Fprintf(&b, "| %s |", what)
		for _, kind := range domain.TokenKinds {
			fmt.Fprintf(&b, " %s |", cell(kind))
		}
		b.WriteByte('\n')
	}
	mark := func(yes bool) string {
		if yes {
			return "yes"
		}
		return ""
	}
	row("", func(k domain.TokenKind) string { return string(k) })
	row("---", func(domain.TokenKind) string { return "---" })
	for _, use := range domain.TokenUses {
		row("may "+string(use), func(k domain.TokenKind) string { return mark(k.Permits(use)) })
	}
	for _, end := range domain.TokenEnds {
		row("ends by "+string(end), func(k domain.TokenKind) string { return mark(k.EndedBy(end)) })
	}
	return b.String()
}
