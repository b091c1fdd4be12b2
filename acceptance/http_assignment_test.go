package acceptance

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What no client has to say, however it is called. Nothing of it must be found anywhere afterwards.
const (
	assignedText = "mass-assigned"
	assignedTime = "2099-01-01T00:00:00Z"
	assignedYear = "4070908800"     // what that is in a database, in whichever unit
	assignedSum  = 4242424242424242 // long enough to stand by chance in nothing that is random
)

// surplus are members that a request does not have: all that the API ever answers, and what frameworks like to bind.
func surplus(t *testing.T, o operation, other *tenant) map[string]any {
	t.Helper()
	members := map[string]any{}
	for name, is := range readOpenAPI(t).answered(t) {
		switch is.Type {
		case "boolean":
			members[name] = true
		case "integer":
			members[name] = assignedSum
		case "array":
			members[name] = []string{assignedText}
		case "object":
			members[name] = map[string]any{"id": other.userID, "name": assignedText}
		default:
			members[name] = assignedText
			if is.Format == "date-time" || strings.HasSuffix(name, "_at") || strings.HasSuffix(name, "_time") {
				members[name] = assignedTime
			}
		}
	}
	maps.Copy(members, map[string]any{
		"id": other.userID, "user_id": other.userID, "owner": map[string]any{"id": other.userID}, "role": assignedText, "roles": []string{assignedText},
		"admin": true, "is_admin": true, "disabled_at": nil, "email_verified_at": assignedTime, "rp_id": assignedText, "public_key": assignedText,
		"flags": assignedSum, "clone_warning": false, "token": assignedText, "token_digest": assignedText, "fresh": true, "confirmed": true, "verified": true,
	})
	maps.DeleteFunc(members, func(name string, _ any) bool {
		_, known := o.request[name]
		return known
	})
	return members
}

// What a call does not take has no effect, wherever it stands in the body and whatever it is called.
func TestSurplusMembersHaveNoEffect(t *testing.T) {
	e := startEstate(t)
	for _, o := range readOpenAPI(t).operations(t) {
		if o.request == nil {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			e := e.in(t)
			plain, ada, ben := e.moves("Plain-"+o.id), e.moves("Ada-"+o.id), e.moves("Ben-"+o.id)
			headers := func(p *tenant) []string {
				if o.public {
					return p.bare
				}
				return p.headers
			}
			path, body := plain.wants(o)
			want := plain.calls(o, path, body, headers(plain))

			path, body = ada.wants(o)
			more := surplus(t, o, ben)
			if len(more) < 60 {
				t.Fatalf("only %d members", len(more))
			}
			if credential, found := body["credential"]; found {
				body["credential"] = with(t, credential, more)
			}
			maps.Copy(body, more)
			bens := ben.keeps()
			got := ada.calls(o, path, body, headers(ada))
			if got.StatusCode != want.StatusCode {
				t.Fatalf("%d %s, and %d without them", got.StatusCode, got.body, want.StatusCode)
			}
			if strings.Contains(string(got.body), assignedText) || strings.Contains(string(got.body), "2099-") || strings.Contains(string(got.body), strconv.Itoa(assignedSum)) {
				t.Errorf("answered %s", got.body)
			}
			for _, row := range e.rows() {
				if strings.Contains(row, assignedText) || strings.Contains(row, assignedYear) || strings.Contains(row, strconv.Itoa(assignedSum)) {
					t.Errorf("kept %s", row)
				}
				if strings.HasPrefix(row, "users ") && !strings.Contains(row, "email_verified_at:<nil>") {
					t.Errorf("somebody's address is verified: %s", row)
				}
			}
			if !slices.Equal(ben.keeps(), bens) {
				t.Error("what is Ben's was changed")
			}
			if o.id == "finishRecovery" && !strings.Contains(string(got.body), `"assurance":"recovery"`) {
				t.Errorf("a recovery is as good as a passkey: %s", got.body)
			}
			if got.StatusCode < 300 && got.Header.Get("Set-Cookie") != "" && o.public {
				who := e.send(t, http.MethodGet, "/v1/session", "", "Cookie", got.Cookies()[0].Name+"="+got.Cookies()[0].Value)
				if strings.Contains(string(who.body), ben.userID) {
					t.Errorf("it signed in as Ben: %s", who.body)
				}
			}
		})
	}
}

// with adds the members to an object that has none of them.
func with(t *testing.T, object any, more map[string]any) map[string]any {
	t.Helper()
	members := map[string]any{}
	if err := json.Unmarshal(encode(t, object), &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range more {
		if _, known := members[name]; !known {
			members[name] = value
		}
	}
	return members
}
