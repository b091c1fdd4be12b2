package maintenance_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestCheckRPID(t *testing.T) {
	for name, c := range map[string]struct {
		passkeys []string // the RP ID of each passkey
		retired  []string
		counts   map[string]int
		others   []string // the RP IDs of the error; nil for none
		message  string
	}{
		"no passkeys":               {},
		"the current one":           {passkeys: []string{"example.org", "example.org"}},
		"another":                   {passkeys: []string{"old.example.org", "old.example.org"}, others: []string{"old.example.org"}, message: "2 of old.example.org"},
		"the current and another":   {passkeys: []string{"example.org", "old.example.org", "example.org"}, others: []string{"old.example.org"}, message: "1 of old.example.org"},
		"retired":                   {passkeys: []string{"old.example.org", "example.org"}, retired: []string{"old.example.org"}, counts: map[string]int{"old.example.org": 1}},
		"retired, without passkeys": {passkeys: []string{"example.org"}, retired: []string{"old.example.org"}},
		"retired in an earlier change": {
			passkeys: []string{"older.example.org", "old.example.org", "old.example.org"}, retired: []string{"older.example.org"},
			counts: map[string]int{"older.example.org": 1}, others: []string{"old.example.org"}, message: "2 of old.example.org",
		},
		"two others": {
			passkeys: []string{"a.example.org", "b.example.org", "b.example.org"},
			others:   []string{"b.example.org", "a.example.org"}, message: "2 of b.example.org, 1 of a.example.org",
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				ada := domain.RestoreUser(domain.UserState{Handle: "handle", CreatedAt: noon})
				err := tx.Users.Add(t.Context(), ada)
				for i, rpID := range c.passkeys {
					key := domain.CredentialState{ID: domain.CredentialID(fmt.Sprint(i)), RPID: rpID, CreatedAt: noon}
					err = errors.Join(err, tx.Credentials.Add(t.Context(), sqlitestore.Credential(key), sqlitestore.Attestation()))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			service := &maintenance.Service{Store: store, RPIDs: maintenance.RPIDs{Current: "example.org", Retired: c.retired}}
			counts, err := service.CheckRPID(t.Context())
			if !maps.Equal(counts, c.counts) {
				t.Errorf("retired: %v, want %v", counts, c.counts)
			}
			changed, state := errors.AsType[*maintenance.RPIDChangedError](err)
			if state != (c.others != nil) || err != nil && !state {
				t.Fatalf("got %v", err)
			}
			if state && (!slices.Equal(changed.RPIDs(), c.others) || !strings.Contains(err.Error(), c.message)) {
				t.Errorf("got %q of %q, want %q of %q", err, changed.RPIDs(), c.message, c.others)
			}
		})
	}
}
