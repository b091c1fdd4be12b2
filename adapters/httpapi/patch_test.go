package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestPatchAccount_AbsentMemberUnchanged(t *testing.T) {
	for body, want := range map[string][2]any{ // the address and the name afterwards
		``:                                   {"ada@example.org", "Ada"},
		`{}`:                                 {"ada@example.org", "Ada"},
		`{"unknown":1}`:                      {"ada@example.org", "Ada"},
		`{"Email":null,"DISPLAY_NAME":null}`: {"ada@example.org", "Ada"},
		`{"email":null}`:                     {nil, "Ada"},
		`{"email":""}`:                       {nil, "Ada"},
		`{"email":" "}`:                      {nil, "Ada"},
		`{"email":"Ada@Example.com"}`:        {"ada@example.com", "Ada"},
		`{"email":"ada@intranet"}`:           {"ada@intranet", "Ada"},
		`{"display_name":null}`:              {"ada@example.org", nil},
		`{"display_name":""}`:                {"ada@example.org", nil},
		`{"display_name":" Countess "}`:      {"ada@example.org", "Countess"},
		`{"display_name":"null"}`:            {"ada@example.org", "null"},
		`{"display_name":"Ren\u0065\u0301"}`: {"ada@example.org", "Ren\u00e9"}, // composed
		`{"display_name":"\ufeffCountess"}`:  {"ada@example.org", "Countess"},
		`{"email":null,"display_name":"Count\u0065ss"}`:   {nil, "Countess"},
		`{"email":"ada@example.com","display_name":null}`: {"ada@example.com", nil},
	} {
		f := newFixture(t)
		got := f.call(http.MethodPatch, "/v1/me", body, map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf})
		user, _ := got.body["user"].(map[string]any)
		if got.status != 200 || user["email"] != want[0] || user["display_name"] != want[1] {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestPatchAccount_Locale(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		body string
		want any // the language afterwards
	}{
		{`{}`, nil},
		{`{"locale":"DE-at"}`, "de-AT"},
		{`{"display_name":"Countess"}`, "de-AT"},
		{`{"locale":" "}`, nil},
		{`{"locale":"fr"}`, "fr"}, // without texts
		{`{"locale":null}`, nil},
	} {
		got := f.call(http.MethodPatch, "/v1/me", c.body, map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf})
		user, _ := got.body["user"].(map[string]any)
		if locale, present := user["locale"]; got.status != 200 || !present || locale != c.want {
			t.Errorf("%s: %+v", c.body, got)
		}
	}
}

// Requirement: ASVS-15.3.3
func TestPatchAccount_RejectsInvalidMembers(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string][]string{
		`{"email":1}`:                              {"email wrong_type"},
		`{"email":true}`:                           {"email wrong_type"},
		`{"email":false}`:                          {"email wrong_type"},
		`{"email":["ada@example.org"]}`:            {"email wrong_type"},
		`{"email":[]}`:                             {"email wrong_type"},
		`{"email":{"address":"ada@example.org"}}`:  {"email wrong_type"},
		`{"email":{}}`:                             {"email wrong_type"},
		`{"display_name":1.5}`:                     {"display_name wrong_type"},
		`{"display_name":{"email":null}}`:          {"display_name wrong_type"},
		`{"email":null,"email":"ada@example.org"}`: {"email duplicate_member"},
		`{"email":"x"}`:                            {"email invalid_email"},
		`{"email":"ada@192.0.2.1"}`:                {"email invalid_email"},
		`{"email":"ada@example.123"}`:              {"email invalid_email"},
		`{"display_name":"\u200b"}`:                {"display_name invalid_name"},
		`{"display_name":"\u0301"}`:                {"display_name invalid_name"},
		`{"display_name":"\u3164"}`:                {"display_name invalid_name"},
		`{"display_name":"Ada\u202eneB"}`:          {"display_name invalid_name"},
		`{"email":"x","display_name":"a\nb"}`:      {"display_name invalid_name", "email invalid_email"},
		`{"locale":1}`:                             {"locale wrong_type"},
		`{"locale":"de_AT"}`:                       {"locale invalid_locale"},
		`{"email":"ada@example.net","locale":"x"}`: {"locale invalid_locale"},
	} {
		got := f.call(http.MethodPatch, "/v1/me", body, map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf})
		if got.status != 400 || got.code() != "invalid_request" || !slices.Equal(got.fieldErrors(), want) {
			t.Errorf("%s: %+v", body, got)
		}
	}
	f.update(func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), f.ada.ID())
		if err == nil && !reflect.DeepEqual(user.State(), f.ada.State()) {
			t.Errorf("the user changed to %+v", user)
		}
		return err
	})
}

// The member name is required; null removes the name.
func TestRenamePasskey_RequiresName(t *testing.T) {
	f := newFixture(t)
	path := "/v1/me/passkeys/" + base64.RawURLEncoding.EncodeToString([]byte("id"))
	headers := map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf}
	for _, c := range []struct {
		body        string
		name        any
		fieldErrors []string
	}{
		{`{"name":" the blue one "}`, "the blue one", nil},
		{`{}`, nil, []string{"name required"}},
		{``, nil, []string{"name required"}},
		{`{"passkey_name":"x"}`, nil, []string{"name required"}},
		{`{"name":7}`, nil, []string{"name wrong_type"}},
		{`{"name":"a\nb"}`, nil, []string{"name invalid_name"}},
		{`{"name":null}`, nil, nil},
		{`{"name":"x"}`, "x", nil},
		{`{"name":""}`, nil, nil},
	} {
		got := f.call(http.MethodPatch, path, c.body, headers)
		passkey, _ := got.body["passkey"].(map[string]any)
		if status := map[bool]int{true: 200, false: 400}[c.fieldErrors == nil]; got.status != status || !slices.Equal(got.fieldErrors(), c.fieldErrors) || passkey["name"] != c.name {
			t.Errorf("%s: %+v", c.body, got)
		}
	}
}

// A malformed id gets the same response as the id of another user's passkey.
func TestPasskeyID_MalformedIs404(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"aWR", "aWR=", "aW+/", "x", "%20", "aWQ%0A", "aWR4"} {
		got := f.call(http.MethodPatch, "/v1/me/passkeys/"+id, `{"name":"x"}`, map[string]string{"Authorization": f.bearer})
		if got.status != 404 || got.code() != "not_found" {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// A user sees the groups that the operator has given them, and cannot change them.
func TestAccount_Groups(t *testing.T) {
	f := newFixture(t)
	f.update(func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), f.ada.ID())
		if err != nil {
			return err
		}
		if _, err := user.ChangeGroups([]domain.Group{"staff", "admin"}, nil); err != nil {
			return err
		}
		return tx.Users.Save(t.Context(), user)
	})
	for method, headers := range map[string]map[string]string{
		http.MethodPatch: {"Cookie": f.cookie, "X-CSRF-Token": f.csrf},
		http.MethodGet:   {"Authorization": f.bearer},
	} {
		got := f.call(method, "/v1/me", `{"groups":["root"]}`, headers)
		user, _ := got.body["user"].(map[string]any)
		if groups := user["groups"]; got.status != 200 || !reflect.DeepEqual(groups, []any{"admin", "staff"}) {
			t.Errorf("%s: %+v", method, got)
		}
	}
}
