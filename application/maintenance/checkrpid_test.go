package maintenance_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestCheckRPID(t *testing.T) {
	for name, c := range map[string]struct {
		there     []string // RP ids of passkeys
		present   string
		abandoned []string
		refused   []string // what the refusal says; nil for none
		left      map[string]int
	}{
		"nobody yet":             {present: "example.org"},
		"its own":                {there: []string{"example.org", "example.org"}, present: "example.org"},
		"another one's":          {there: []string{"old.example.org", "old.example.org"}, present: "example.org", refused: []string{"2 of old.example.org", "back to old.example.org", "KEYLODGE_RETIRED_RP_IDS=old.example.org"}},
		"a few of another one's": {there: []string{"example.org", "old.example.org", "example.org"}, present: "example.org", refused: []string{"1 of old.example.org"}},
		"given up":               {there: []string{"old.example.org", "example.org"}, present: "example.org", abandoned: []string{"old.example.org"}, left: map[string]int{"old.example.org": 1}},
		"given up and long gone": {there: []string{"example.org"}, present: "example.org", abandoned: []string{"old.example.org"}},
		"given up in another change": {
			there: []string{"older.example.org", "old.example.org", "old.example.org"}, present: "example.org", abandoned: []string{"older.example.org"},
			refused: []string{"2 of old.example.org", "KEYLODGE_RETIRED_RP_IDS=older.example.org,old.example.org"}, left: map[string]int{"older.example.org": 1},
		},
		"of two others": {
			there: []string{"a.example.org", "b.example.org", "b.example.org"}, present: "example.org",
			refused: []string{"2 of b.example.org, 1 of a.example.org", "back to b.example.org", "=b.example.org,a.example.org"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				ada := domain.RestoreUser(domain.UserState{Handle: "handle", CreatedAt: noon})
				err := tx.Users.Add(t.Context(), ada)
				for i, rpID := range c.there {
					key := domain.CredentialState{ID: domain.CredentialID(fmt.Sprint(i)), RPID: rpID, CreatedAt: noon}
					err = errors.Join(err, tx.Credentials.Add(t.Context(), sqlitestore.Credential(key)))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			guard := maintenance.CheckRPID{Store: store, RPIDs: maintenance.RPIDs{Current: c.present, Retired: c.abandoned}}
			left, err := guard.Execute(t.Context())
			if !maps.Equal(left, c.left) {
				t.Errorf("given up: %v, want %v", left, c.left)
			}
			var refusal *domain.Error
			if errors.As(err, &refusal) != (c.refused != nil) || err != nil && refusal.Code != "rp_id_changed" {
				t.Fatalf("got %v", err)
			}
			for _, part := range c.refused {
				if !strings.Contains(err.Error()+"$", part) {
					t.Errorf("%v\ndoes not say %q", err, part)
				}
			}
		})
	}
}
