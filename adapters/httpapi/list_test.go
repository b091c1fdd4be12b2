package httpapi_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestList_QueryParameters(t *testing.T) {
	f := newFixture(t)
	id := f.session.ID().String()
	for query, want := range map[string][]string{
		"":                                nil,
		"limit=1":                         nil,
		"limit=100":                       nil,
		"limit=":                          nil,
		"cursor=":                         nil,
		"limit=7&cursor=" + id:            nil,
		"limit=0":                         {"limit out_of_range"},
		"limit=101":                       {"limit out_of_range"},
		"limit=-1":                        {"limit out_of_range"},
		"limit=x":                         {"limit out_of_range"},
		"limit=1.5":                       {"limit out_of_range"},
		"limit=1e1":                       {"limit out_of_range"},
		"limit=0x10":                      {"limit out_of_range"},
		"limit=99999999999999999999":      {"limit out_of_range"},
		"cursor=x":                        {"cursor invalid_cursor"},
		"cursor=" + id[1:]:                {"cursor invalid_cursor"},
		"cursor=" + id + "0":              {"cursor invalid_cursor"},
		"limit=1&limit=1":                 {"limit duplicate_parameter"},
		"limit=&limit=7":                  {"limit duplicate_parameter"},
		"cursor=&limit=7&cursor=" + id:    {"cursor duplicate_parameter"},
		"limit=1&cursor=&cursor=&limit=2": {"cursor duplicate_parameter", "limit duplicate_parameter"},
		"page=2&sort=desc&page=3&Limit=0": nil, // unknown parameters
		"limit=%zz":                       {"limit out_of_range"},
		"limit=%00":                       {"limit out_of_range"},
		"cursor=%00":                      {"cursor invalid_cursor"},
		"cursor=%ff%fe":                   {"cursor invalid_cursor"},
		"cursor='%20OR%201=1--":           {"cursor invalid_cursor"},
		"cursor=../../etc/passwd":         {"cursor invalid_cursor"},
		"cursor[]=x&limit[]=x":            nil,
		"cursor=00000000-0000-0000-0000-000000000000": nil, // a valid id
		"limit=0&cursor=x":                            {"cursor invalid_cursor", "limit out_of_range"},
	} {
		for _, path := range []string{"/v1/me/sessions", "/v1/me/events"} {
			got := f.call(http.MethodGet, path+"?"+query, "", map[string]string{"Cookie": f.cookie})
			if status := map[bool]int{true: 200, false: 400}[want == nil]; got.status != status || !slices.Equal(got.fieldErrors(), want) {
				t.Errorf("%s?%s: %+v", path, query, got)
			}
			if want != nil && got.code() != "invalid_request" {
				t.Errorf("%s?%s: %s", path, query, got.code())
			}
		}
	}
}

func TestList_CursorVisitsEveryItem(t *testing.T) {
	f := newFixture(t)
	for i := range 4 {
		e := domain.NewEvent(domain.EventState{UserID: f.ada.ID(), Kind: domain.EventSignedIn, RequestID: fmt.Sprint(i)}, clock{}.Now(), rand.Reader)
		f.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for path, all := range map[string]int{"/v1/me/sessions": 2, "/v1/me/events": 4} {
		for limit := 1; limit <= 5; limit++ {
			seen := map[string]bool{}
			cursor := ""
			for pages := 0; ; pages++ {
				got := f.call(http.MethodGet, fmt.Sprintf("%s?limit=%d&cursor=%s", path, limit, cursor), "", map[string]string{"Cookie": f.cookie})
				items, _ := got.body["items"].([]any)
				for _, item := range items {
					seen[item.(map[string]any)["id"].(string)] = true
				}
				next, more := got.body["next_cursor"].(string)
				if got.status != 200 || len(items) > limit || pages > all || !more && got.body["next_cursor"] != nil {
					t.Fatalf("%s?limit=%d: %+v", path, limit, got)
				}
				if !more {
					break
				}
				cursor = next
			}
			if len(seen) != all {
				t.Errorf("%s?limit=%d: visited %d of %d items", path, limit, len(seen), all)
			}
		}
	}
}

func TestList_DefaultLimitIs50(t *testing.T) {
	f := newFixture(t)
	for range 51 {
		e := domain.NewEvent(domain.EventState{UserID: f.ada.ID(), Kind: domain.EventSignedIn}, clock{}.Now(), rand.Reader)
		f.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for _, query := range []string{"", "?limit=", "?limit=50"} {
		got := f.call(http.MethodGet, "/v1/me/events"+query, "", map[string]string{"Cookie": f.cookie})
		if items, _ := got.body["items"].([]any); len(items) != 50 || got.body["next_cursor"] == nil {
			t.Errorf("%q: %d items, %v", query, len(items), got.body["next_cursor"])
		}
	}
}

func TestListEvents_kind(t *testing.T) {
	f := newFixture(t)
	for _, e := range []domain.EventState{
		{Kind: domain.EventPasskeyAdded}, {Kind: domain.EventSignedIn}, {Kind: domain.EventPasskeyRemoved}, {Kind: domain.EventSignedIn},
	} {
		e.UserID = f.ada.ID()
		entry := domain.NewEvent(e, clock{}.Now(), rand.Reader)
		f.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), entry) })
	}
	get := func(query string) apiResponse {
		return f.call(http.MethodGet, "/v1/me/events"+query, "", map[string]string{"Cookie": f.cookie})
	}
	for query, want := range map[string][]string{
		"":                                      {"passkey_added", "passkey_removed", "signed_in", "signed_in"},
		"?kind=":                                {"passkey_added", "passkey_removed", "signed_in", "signed_in"},
		"?kind=signed_in":                       {"signed_in", "signed_in"},
		"?kind=passkey_added,passkey_removed":   {"passkey_added", "passkey_removed"},
		"?kind=passkey_added%2Cpasskey_removed": {"passkey_added", "passkey_removed"},
		"?kind=recovered":                       {},
		"?kind=signed_in,signed_in&limit=2&cursor": {"signed_in", "signed_in"},
	} {
		got := get(query)
		items, _ := got.body["items"].([]any)
		kinds := []string{}
		for _, item := range items {
			kinds = append(kinds, item.(map[string]any)["kind"].(string))
		}
		slices.Sort(kinds)
		if got.status != 200 || !slices.Equal(kinds, want) || got.body["next_cursor"] != nil {
			t.Errorf("%q: %d %v, want %v", query, got.status, kinds, want)
		}
	}
	for query, want := range map[string][]string{
		"?kind=signed":                   {"kind unknown_kind"},
		"?kind=Signed_In":                {"kind unknown_kind"},
		"?kind=signed_in,":               {"kind unknown_kind"},
		"?kind=signed_in,%20recovered":   {"kind unknown_kind"},
		"?kind='%20OR%201=1--":           {"kind unknown_kind"},
		"?kind=%22":                      {"kind unknown_kind"},
		"?kind=signed_in&kind=":          {"kind duplicate_parameter"},
		"?kind=signed_in&kind=recovered": {"kind duplicate_parameter"},
		"?kind=x&limit=0":                {"kind unknown_kind", "limit out_of_range"},
	} {
		if got := get(query); got.status != 400 || got.code() != "invalid_request" || !slices.Equal(got.fieldErrors(), want) {
			t.Errorf("%q: %+v, want %v", query, got, want)
		}
	}
}
