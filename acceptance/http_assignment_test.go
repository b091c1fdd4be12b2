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

// Values that the server must ignore. No response and no row may contain them afterwards.
const (
	assignedText = "mass-assigned"
	assignedTime = "2099-01-01T00:00:00Z"
	assignedYear = "4070908800"     // assignedTime as Unix seconds, the start of every finer unit
	assignedSum  = 4242424242424242 // long enough not to occur in random data
)

// surplusMembers returns members that the operation's request does not have: all response members of the API, and common names
// that frameworks bind.
func surplusMembers(t *testing.T, o operation, other *fullAccount) map[string]any {
	t.Helper()
	members := map[string]any{}
	for name, schema := range readOpenAPI(t).responseMembers(t) {
		switch schema.Type {
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
			if schema.Format == "date-time" || strings.HasSuffix(name, "_at") || strings.HasSuffix(name, "_time") {
				members[name] = assignedTime
			}
		}
	}
	maps.Copy(members, map[string]any{
		"id": other.userID, "user_id": other.userID, "owner": map[string]any{"id": other.userID}, "role": assignedText, "roles": []string{assignedText},
		"admin": true, "is_admin": true, "disabled_at": nil, "email_verified_at": assignedTime, "rp_id": assignedText, "public_key": assignedText,
		"flags": assignedSum, "clone_warning": false, "token": assignedText, "token_digest": assignedText, "fresh": true, "confirmed": true, "verified": true,
		"handle": assignedText, "is_disabled": true, "__proto__": map[string]any{"admin": true}, "constructor": map[string]any{"prototype": map[string]any{"admin": true}},
	})
	maps.DeleteFunc(members, func(name string, _ any) bool {
		_, known := o.requestMembers[name]
		return known
	})
	return members
}

// Unknown members of a request have no effect, at any place in the body.
// Requirement: ASVS-15.3.3
func TestMassAssignment_SurplusMembersIgnored(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	for _, o := range readOpenAPI(t).operations(t) {
		if o.requestMembers == nil {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			s := s.withT(t)
			plain, ada, ben := s.newFullAccount("Plain-"+o.id), s.newFullAccount("Ada-"+o.id), s.newFullAccount("Ben-"+o.id)
			headers := func(a *fullAccount) []string {
				if o.public {
					return a.anonymousHeaders
				}
				return a.headers
			}
			path, body := plain.validRequest(o)
			want := plain.sendOperation(o, path, body, headers(plain))

			path, body = ada.validRequest(o)
			more := surplusMembers(t, o, ben)
			if len(more) < 60 {
				t.Fatalf("%d surplus members, want at least 60", len(more))
			}
			if credential, found := body["credential"]; found {
				body["credential"] = withMembers(t, credential, more)
			}
			maps.Copy(body, more)
			benRows := ben.rows()
			got := ada.sendOperation(o, path, body, headers(ada))
			if got.StatusCode != want.StatusCode {
				t.Fatalf("%d %s, and %d without surplus members", got.StatusCode, got.Body, want.StatusCode)
			}
			if strings.Contains(string(got.Body), assignedText) || strings.Contains(string(got.Body), "2099-") || strings.Contains(string(got.Body), strconv.Itoa(assignedSum)) {
				t.Errorf("the response has an assigned value: %s", got.Body)
			}
			for _, row := range s.allRows() {
				if strings.Contains(row, assignedText) || strings.Contains(row, assignedYear) || strings.Contains(row, strconv.Itoa(assignedSum)) {
					t.Errorf("a row has an assigned value: %s", row)
				}
				if strings.HasPrefix(row, "users ") && !strings.Contains(row, "email_verified_at:<nil>") {
					t.Errorf("an address is verified: %s", row)
				}
			}
			if !slices.Equal(ben.rows(), benRows) {
				t.Error("Ben's rows have changed")
			}
			if o.id == "finishRecovery" && (!strings.Contains(string(got.Body), `"assurance":"recovery"`) || !strings.Contains(string(got.Body), `"amr":["otp"]`)) {
				t.Errorf("the session is not one of a recovery: %s", got.Body)
			}
			if got.StatusCode < 300 && got.Header.Get("Set-Cookie") != "" && o.public {
				session := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", got.Cookies()[0].Name+"="+got.Cookies()[0].Value)
				if strings.Contains(string(session.Body), ben.userID) {
					t.Errorf("the session is Ben's: %s", session.Body)
				}
			}
		})
	}
}

// withMembers returns the object with the additional members that it does not have.
func withMembers(t *testing.T, object any, more map[string]any) map[string]any {
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
