package acceptance

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// newAPIKey returns the token of a new API key with the scopes, which expires after a day.
func (s *serverWithDB) newAPIKey(scopes ...domain.Scope) string {
	s.t.Helper()
	_, token, err := s.app.UseCases().APIKeys.Create(s.t.Context(), "Test", scopes, 24*time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return token.Reveal()
}

// scopeOfOperation has the scope that each operation for programs of the operator needs.
var scopeOfOperation = map[string]domain.Scope{
	"listUsers":               domain.ScopeUsersRead,
	"createUser":              domain.ScopeUsersWrite,
	"showUser":                domain.ScopeUsersRead,
	"disableUser":             domain.ScopeUsersWrite,
	"enableUser":              domain.ScopeUsersWrite,
	"deleteUser":              domain.ScopeUsersWrite,
	"addUserToGroup":          domain.ScopeUsersWrite,
	"removeUserFromGroup":     domain.ScopeUsersWrite,
	"issueRecoveryLink":       domain.ScopeUsersWrite,
	"revokeSessionsOfUser":    domain.ScopeSessionsWrite,
	"revokeSession":           domain.ScopeSessionsWrite,
	"listAllEvents":           domain.ScopeEventsRead,
	"revokeSessionsByAddress": domain.ScopeSessionsWrite,
	"listSigningKeys":         domain.ScopeSigningKeysRead,
	"rotateSigningKeys":       domain.ScopeSigningKeysWrite,
	"listInvites":             domain.ScopeInvitesRead,
	"createInvites":           domain.ScopeInvitesWrite,
	"revokeInvite":            domain.ScopeInvitesWrite,
}

// Function level: the operations of the operator need an active API key with their scope, and nothing else opens them.
// Requirement: ASVS-8.2.1
func TestAuthorization_AdminOperationsNeedAPIKeyWithScope(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada := s.newFullAccount("Ada")
	keys := s.app.UseCases().APIKeys
	revoked, revokedToken, err := keys.Create(t.Context(), "Revoked", domain.Scopes, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), revoked.ID()); err != nil {
		t.Fatal(err)
	}
	_, expired, err := keys.Create(t.Context(), "Expired", domain.Scopes, time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Second)
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	ada.mustSend(http.MethodPost, "/v1/session/token", "", &tokens, ada.headers)
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	operations := readOpenAPI(t).adminOperations(t)
	if len(operations) != len(scopeOfOperation) {
		t.Errorf("%d operations, but scopeOfOperation has %d", len(operations), len(scopeOfOperation))
	}
	for _, o := range operations {
		scope := scopeOfOperation[o.id]
		others := slices.DeleteFunc(slices.Clone(domain.Scopes), func(s domain.Scope) bool { return s == scope })
		path, body := ada.validRequest(o)
		for name, c := range map[string]struct {
			headers []string
			status  int
			code    string
		}{
			"nothing":               {nil, 401, "api_key_invalid"},
			"a session":             {ada.headers, 401, "api_key_invalid"},
			"an access token":       {bearer(tokens.AccessToken), 401, "api_key_invalid"},
			"an unknown key":        {bearer("klk_" + strings.Repeat("A", 43)), 401, "api_key_invalid"},
			"a revoked key":         {bearer(revokedToken.Reveal()), 401, "api_key_invalid"},
			"an expired key":        {bearer(expired.Reveal()), 401, "api_key_invalid"},
			"a key as a basic user": {[]string{"Authorization", "Basic " + s.newAPIKey(domain.Scopes...)}, 401, "api_key_invalid"},
			"all other scopes":      {bearer(s.newAPIKey(others...)), 403, "insufficient_scope"},
		} {
			before := ada.rows()
			if got := ada.sendOperation(o, path, body, c.headers); got.StatusCode != c.status || got.problem(t).Code != c.code {
				t.Errorf("%s with %s: %d %s", o.id, name, got.StatusCode, got.Body)
			}
			if !slices.Equal(ada.rows(), before) {
				t.Errorf("%s with %s has changed rows", o.id, name)
			}
		}
	}
	slices.SortStableFunc(operations, func(a, b operation) int {
		return cmp.Compare(strings.Count(a.id, "deleteUser"), strings.Count(b.id, "deleteUser"))
	})
	for _, o := range operations {
		path, body := ada.validRequest(o)
		if got := ada.sendOperation(o, path, body, bearer(s.newAPIKey(scopeOfOperation[o.id]))); got.StatusCode >= 300 && o.id != "revokeSession" {
			t.Errorf("%s with its scope: %d %s", o.id, got.StatusCode, got.Body)
		}
	}
}

// An API key opens no operation of a user.
func TestAuthorization_APIKeyIsNoSession(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada := s.newFullAccount("Ada")
	headers := []string{"Authorization", "Bearer " + s.newAPIKey(domain.Scopes...)}
	for _, o := range readOpenAPI(t).operations(t) {
		if o.public {
			continue
		}
		path, body := ada.validRequest(o)
		if got := ada.sendOperation(o, path, body, headers); got.StatusCode != 401 {
			t.Errorf("%s: %d %s", o.id, got.StatusCode, got.Body)
		}
	}
}

// Requirement: ASVS-16.2.5
func TestAdmin_EventsNameTheAPIKey(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada, ben := s.newFullAccount("Ada"), s.newFullAccount("Ben")
	key, token, err := s.app.UseCases().APIKeys.Create(t.Context(), "Support", domain.Scopes, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	headers := []string{"Authorization", "Bearer " + token.Reveal()}
	requests := map[string]string{} // by kind of event and user
	for _, c := range []struct{ method, path, kind, user string }{
		{http.MethodPut, "/v1/admin/users/" + ada.userID + "/groups/staff", "account_changed", ada.userID},
		{http.MethodDelete, "/v1/admin/sessions/" + ada.appSessionID, "session_revoked", ada.userID},
		{http.MethodPost, "/v1/admin/users/" + ada.userID + "/recovery-link", "recovery_granted", ada.userID},
		{http.MethodPost, "/v1/admin/users/" + ada.userID + "/disable", "account_disabled", ada.userID},
		{http.MethodPost, "/v1/admin/users/" + ada.userID + "/enable", "account_enabled", ada.userID},
		{http.MethodDelete, "/v1/admin/users/" + ben.userID, "account_deleted", ""},
	} {
		got := s.send(t, c.method, c.path, "", headers...)
		if got.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s", c.method, c.path, got.StatusCode, got.Body)
		}
		requests[c.kind+" "+c.user] = got.Header.Get("X-Request-Id")
	}
	type item struct {
		Kind, Actor string
		Reason      *string
		UserID      *string `json:"user_id"`
		APIKeyID    *string `json:"api_key_id"`
		RequestID   *string `json:"request_id"`
	}
	type page struct {
		Items  []item
		More   bool
		Cursor string
	}
	list := func(query string) (p page) {
		t.Helper()
		s.mustSend(http.MethodGet, "/v1/admin/events"+query, "", &p, headers)
		return p
	}
	for _, e := range list("").Items {
		if e.Kind == "account_deleted" {
			t.Error("an event is listed before its order is certain")
		}
	}
	s.clock.advance(11 * time.Second)
	var all []item
	last := ""
	for more := true; more; {
		p := list("?limit=3&cursor=" + last)
		all = append(all, p.Items...)
		last, more = p.Cursor, p.More
	}
	value := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	found := map[string]bool{}
	for _, e := range all {
		request, ours := requests[e.Kind+" "+value(e.UserID)]
		ours = ours && e.Reason == nil // disabling also revokes sessions, and deleting removes the request ids
		if !ours {
			if e.APIKeyID != nil && e.Kind != "api_key_created" && e.Kind != "session_revoked" {
				t.Errorf("%+v names a key", e)
			}
			continue
		}
		found[e.Kind] = true
		if e.Actor != "operator" || value(e.APIKeyID) != key.ID().String() || e.UserID != nil && value(e.RequestID) != request {
			t.Errorf("%+v: want the key %s and the request %s", e, key.ID(), request)
		}
	}
	if len(found) != len(requests) {
		t.Errorf("found %v", found)
	}
	// A client follows the events: the cursor stays, and the next event comes after it.
	if p := list("?cursor=" + last); len(p.Items) != 0 || p.Cursor != last {
		t.Errorf("at the end: %+v", p)
	}
	s.mustSend(http.MethodPut, "/v1/admin/users/"+ada.userID+"/groups/admin", "", nil, headers)
	s.clock.advance(11 * time.Second)
	if p := list("?kind=account_changed&cursor=" + last); len(p.Items) != 1 || p.Items[0].Kind != "account_changed" {
		t.Errorf("after the next event: %+v", p)
	}
}
