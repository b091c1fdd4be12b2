package leakcheck_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/leakcheck"
)

// Requirement: ASVS-16.2.5
func TestSecrets_FindIn(t *testing.T) {
	var secrets leakcheck.Secrets
	response := &http.Response{Header: http.Header{"Set-Cookie": {"keylodge_session=c0okie-of_Ada; HttpOnly", "gone=; Max-Age=0"}}}
	secrets.AddResponse(response, []byte(`{"user":{"id":"0189-public"},"challenge_id":"chid","options":{"challenge":"chal"},"csrf_token":"csrf.x",
		"tokens":{"access_token":"ey.ey.sig","refresh_token":"re-fresh"},"grant_token":"gr_ant","secret":"BASE32","codes":["ab12-cd34-ef56-gh78"]}`))
	want := []string{"c0okie-of_Ada", "chid", "chal", "csrf.x", "ey.ey.sig", "re-fresh", "gr_ant", "BASE32", "ab12-cd34-ef56-gh78"}
	if secrets.Len() != len(want) {
		t.Errorf("collected %d secrets, want %d", secrets.Len(), len(want))
	}
	for _, secret := range want {
		for _, text := range []string{`{"path":"/` + secret + `"}`, "cookie=" + secret + " ", `"` + secret + `",`} {
			if found := secrets.FindIn(text); !slices.Equal(found, []string{secret}) {
				t.Errorf("in %s found %q", text, found)
			}
		}
	}
	if found := secrets.FindIn(`{"user":"0189-public","path":"/v1/session"}`); len(found) > 0 {
		t.Errorf("found %q, which is public", found)
	}
}
