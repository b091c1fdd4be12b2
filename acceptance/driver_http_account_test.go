package acceptance

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (b tokenResponse) pair() tokenPair { return tokenPair{b.AccessToken, b.RefreshToken} }

// authorize adds the access token of an app client, or the CSRF token that a page sends with every change.
func (c *httpAPI) authorize(request *http.Request) {
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
		csrf = c.fetchCSRFToken()
	}
	request.Header.Set("X-CSRF-Token", csrf)
}

// fetchCSRFToken requests a new CSRF token, as a reloaded page does. It returns "" if no user is signed in.
func (c *httpAPI) fetchCSRFToken() string {
	var body struct {
		CSRFToken string `json:"csrf_token"`
	}
	if rejected := c.call(http.MethodGet, "/v1/csrf", nil, &body); rejected != (rejection{}) {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.csrf = body.CSRFToken
	return c.csrf
}

func (c *httpAPI) beginStepUp() (pendingCeremony, rejection) {
	var begun ceremonyResponse
	rejected := c.call(http.MethodPost, "/v1/session/step-up/options", nil, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, rejected
}

func (c *httpAPI) finishStepUp(challengeID string, response authenticator.AuthenticationResponse) rejection {
	var body struct{ Tokens tokenResponse }
	rejected := c.call(http.MethodPost, "/v1/session/step-up/verify", map[string]any{"challenge_id": challengeID, "credential": response}, &body)
	if body.Tokens != (tokenResponse{}) {
		c.setTokenPair(body.Tokens.pair())
	}
	return rejected
}

func (c *httpAPI) beginAddPasskey() (pendingCeremony, rejection) {
	var begun ceremonyResponse
	rejected := c.call(http.MethodPost, "/v1/me/passkeys/options", nil, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, rejected
}

func (c *httpAPI) finishAddPasskey(challengeID, name string, response authenticator.RegistrationResponse) rejection {
	body := map[string]any{"challenge_id": challengeID, "credential": response, "passkey_name": name}
	return c.call(http.MethodPost, "/v1/me/passkeys/verify", body, nil)
}

func (c *httpAPI) passkeys() ([]shownPasskey, rejection) {
	var body struct {
		Items []struct{ ID, Name, Status string }
	}
	rejected := c.call(http.MethodGet, "/v1/me/passkeys", nil, &body)
	var shown []shownPasskey
	for _, item := range body.Items {
		shown = append(shown, shownPasskey{item.ID, item.Name, item.Status})
	}
	return shown, rejected
}

func (c *httpAPI) renamePasskey(id, name string) rejection {
	return c.call(http.MethodPatch, "/v1/me/passkeys/"+url.PathEscape(id), map[string]string{"name": name}, nil)
}

func (c *httpAPI) removePasskey(id string) rejection {
	return c.call(http.MethodDelete, "/v1/me/passkeys/"+url.PathEscape(id), nil, nil)
}

func (c *httpAPI) sessions() ([]shownSession, rejection) {
	type item struct {
		ID      string
		Device  struct{ Name string }
		Current bool
	}
	var shown []shownSession
	rejected := readPages(c, "/v1/me/sessions", func(i item) { shown = append(shown, shownSession{i.ID, i.Device.Name, i.Current}) })
	return shown, rejected
}

func (c *httpAPI) events() ([]shownEvent, rejection) {
	type item struct{ Kind, Reason string }
	var shown []shownEvent
	rejected := readPages(c, "/v1/me/events", func(i item) { shown = append(shown, shownEvent{i.Kind, i.Reason}) })
	return shown, rejected
}

// readPages reads a whole list in pages of pageSize.
func readPages[T any](c *httpAPI, path string, each func(T)) rejection {
	cursor := ""
	for {
		var page struct {
			Items      []T
			NextCursor *string `json:"next_cursor"`
		}
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if rejected := c.call(http.MethodGet, path+"?"+query.Encode(), nil, &page); rejected != (rejection{}) {
			return rejected
		}
		for _, item := range page.Items {
			each(item)
		}
		if page.NextCursor == nil {
			return rejection{}
		}
		cursor = *page.NextCursor
	}
}

func (c *httpAPI) revokeSession(id string) rejection {
	return c.call(http.MethodDelete, "/v1/me/sessions/"+url.PathEscape(id), nil, nil)
}

func (c *httpAPI) revokeOtherSessions() (int, rejection) {
	var body struct{ Revoked int }
	rejected := c.call(http.MethodDelete, "/v1/me/sessions", nil, &body)
	return body.Revoked, rejected
}

func (c *httpAPI) changeAccount(name, email string) (shownUser, rejection) {
	var body sessionResponse
	rejected := c.call(http.MethodPatch, "/v1/me", map[string]string{"display_name": name, "email": email}, &body)
	return body.identity(), rejected
}

func (c *httpAPI) deleteAccount() rejection {
	return c.call(http.MethodDelete, "/v1/me", nil, nil)
}

func (c *httpAPI) useBearerTokens() { c.transport = "bearer" }

func (c *httpAPI) refresh(token string) (tokenPair, rejection) {
	var body struct{ Tokens tokenResponse }
	rejected := c.call(http.MethodPost, "/v1/session/refresh", map[string]string{"refresh_token": token}, &body)
	return body.Tokens.pair(), rejected
}

func (c *httpAPI) tokenPair() tokenPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

func (c *httpAPI) setTokenPair(pair tokenPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = pair
}
