package acceptance

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

type tokensBody struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (b tokensBody) pair() tokenPair { return tokenPair{b.AccessToken, b.RefreshToken} }

// authorize adds what the connection's holder has: a program its access token, a page its CSRF token to all that changes
// something.
func (c *httpConnection) authorize(request *http.Request) {
	c.mu.Lock()
	access, csrf := c.tokens.access, c.csrf
	c.mu.Unlock()
	if access != "" {
		request.Header.Set("Authorization", "Bearer "+access)
		return
	}
	if request.Method == http.MethodGet {
		return
	}
	if csrf == "" && !strings.Contains(request.URL.Path, "/login/") && !strings.Contains(request.URL.Path, "/signup/") && !strings.Contains(request.URL.Path, "/v1/recovery/") {
		csrf = c.asksForCSRF()
	}
	request.Header.Set("X-CSRF-Token", csrf)
}

// asksForCSRF is what a page does after it was loaded again. Nobody gets one who is not signed in.
func (c *httpConnection) asksForCSRF() string {
	var body struct {
		CSRFToken string `json:"csrf_token"`
	}
	if refused := c.call(http.MethodGet, "/v1/csrf", nil, &body); refused != (refusal{}) {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.csrf = body.CSRFToken
	return c.csrf
}

func (c *httpConnection) beginStepUp() (attempt, refusal) {
	var begun ceremonyBody
	refused := c.call(http.MethodPost, "/v1/session/step-up/options", nil, &begun)
	return attempt{begun.ChallengeID, begun.Options}, refused
}

func (c *httpConnection) finishStepUp(challengeID string, answer authenticator.AuthenticationResponse) refusal {
	var body struct{ Tokens tokensBody }
	refused := c.call(http.MethodPost, "/v1/session/step-up/verify", map[string]any{"challenge_id": challengeID, "credential": answer}, &body)
	if body.Tokens != (tokensBody{}) {
		c.bringsTokens(body.Tokens.pair())
	}
	return refused
}

func (c *httpConnection) beginAddPasskey() (attempt, refusal) {
	var begun ceremonyBody
	refused := c.call(http.MethodPost, "/v1/me/passkeys/options", nil, &begun)
	return attempt{begun.ChallengeID, begun.Options}, refused
}

func (c *httpConnection) finishAddPasskey(challengeID, name string, answer authenticator.RegistrationResponse) refusal {
	body := map[string]any{"challenge_id": challengeID, "credential": answer, "passkey_name": name}
	return c.call(http.MethodPost, "/v1/me/passkeys/verify", body, nil)
}

func (c *httpConnection) passkeys() ([]shownPasskey, refusal) {
	var body struct {
		Items []struct{ ID, Name, Status string }
	}
	refused := c.call(http.MethodGet, "/v1/me/passkeys", nil, &body)
	var shown []shownPasskey
	for _, item := range body.Items {
		shown = append(shown, shownPasskey{item.ID, item.Name, item.Status})
	}
	return shown, refused
}

func (c *httpConnection) renamePasskey(id, name string) refusal {
	return c.call(http.MethodPatch, "/v1/me/passkeys/"+url.PathEscape(id), map[string]string{"name": name}, nil)
}

func (c *httpConnection) removePasskey(id string) refusal {
	return c.call(http.MethodDelete, "/v1/me/passkeys/"+url.PathEscape(id), nil, nil)
}

func (c *httpConnection) sessions() ([]shownSession, refusal) {
	type item struct {
		ID      string
		Device  struct{ Name string }
		Current bool
	}
	var shown []shownSession
	refused := pages(c, "/v1/me/sessions", func(i item) { shown = append(shown, shownSession{i.ID, i.Device.Name, i.Current}) })
	return shown, refused
}

func (c *httpConnection) events() ([]shownEvent, refusal) {
	type item struct{ Kind, Reason string }
	var shown []shownEvent
	refused := pages(c, "/v1/me/events", func(i item) { shown = append(shown, shownEvent{i.Kind, i.Reason}) })
	return shown, refused
}

// pages reads a list to its end, a small page at a time.
func pages[T any](c *httpConnection, path string, each func(T)) refusal {
	cursor := ""
	for {
		var page struct {
			Items      []T
			NextCursor *string `json:"next_cursor"`
		}
		query := url.Values{"limit": {strconv.Itoa(smallPage)}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if refused := c.call(http.MethodGet, path+"?"+query.Encode(), nil, &page); refused != (refusal{}) {
			return refused
		}
		for _, item := range page.Items {
			each(item)
		}
		if page.NextCursor == nil {
			return refusal{}
		}
		cursor = *page.NextCursor
	}
}

func (c *httpConnection) revokeSession(id string) refusal {
	return c.call(http.MethodDelete, "/v1/me/sessions/"+url.PathEscape(id), nil, nil)
}

func (c *httpConnection) revokeOtherSessions() (int, refusal) {
	var body struct{ Revoked int }
	refused := c.call(http.MethodDelete, "/v1/me/sessions", nil, &body)
	return body.Revoked, refused
}

func (c *httpConnection) changeAccount(name, email string) (identity, refusal) {
	var body sessionBody
	refused := c.call(http.MethodPatch, "/v1/me", map[string]string{"display_name": name, "email": email}, &body)
	return body.identity(), refused
}

func (c *httpConnection) deleteAccount() refusal {
	return c.call(http.MethodDelete, "/v1/me", nil, nil)
}

func (c *httpConnection) becomesProgram() { c.transport = "bearer" }

func (c *httpConnection) refreshWith(token string) (tokenPair, refusal) {
	var body struct{ Tokens tokensBody }
	refused := c.call(http.MethodPost, "/v1/session/refresh", map[string]string{"refresh_token": token}, &body)
	return body.Tokens.pair(), refused
}

func (c *httpConnection) keepsTokens() tokenPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

func (c *httpConnection) bringsTokens(pair tokenPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = pair
}
