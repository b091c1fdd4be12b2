package admin_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Each of 250 users has one passkey. Its AAGUID starts with the user's number modulo 5, so that some have the zero AAGUID.
func TestNonCompliantPasskeys_ByModel(t *testing.T) {
	store := sqlitestore.New(t)
	owners := make([]domain.UserID, 250)
	err := store.Update(t.Context(), func(tx ports.Tx) (err error) {
		for i := range owners {
			id, idErr := domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", i+1))
			owners[i] = id
			err = errors.Join(err, idErr,
				tx.Users.Add(t.Context(), domain.RestoreUser(domain.UserState{ID: id, Handle: domain.UserHandle(fmt.Sprint(i)), CreatedAt: noon})),
				tx.Credentials.Add(t.Context(), sqlitestore.Credential(domain.CredentialState{
					ID: domain.CredentialID(fmt.Sprint("key", i)), UserID: id, AAGUID: [16]byte{byte(i % 5)}, CreatedAt: noon,
				}), sqlitestore.Attestation()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	compromised := func(model domain.AAGUID) bool { return model == domain.AAGUID{4} }
	for name, c := range map[string]struct {
		policy      domain.AuthenticatorPolicy
		compromised func(domain.AAGUID) bool
		want        []byte // first bytes of the AAGUIDs
	}{
		"any":                   {domain.AuthenticatorPolicy{}, nil, nil},
		"one denied":            {domain.AuthenticatorPolicy{Denied: []domain.AAGUID{{2}}}, nil, []byte{2}},
		"two allowed":           {domain.AuthenticatorPolicy{Allowed: []domain.AAGUID{{1}, {3}}}, nil, []byte{0, 2, 4}},
		"attested":              {domain.AuthenticatorPolicy{Attested: true}, compromised, []byte{0, 4}},
		"compromised or denied": {domain.AuthenticatorPolicy{Denied: []domain.AAGUID{{1}}}, compromised, []byte{1, 4}},
	} {
		found, err := (&admin.Service{Store: store}).NonCompliantPasskeys(t.Context(), c.policy, c.compromised)
		if err != nil {
			t.Fatal(err)
		}
		var models []byte
		for model := range maps.Keys(found) {
			models = append(models, model[0])
			var want []domain.UserID
			for i := int(model[0]); i < len(owners); i += 5 {
				want = append(want, owners[i])
			}
			if !slices.Equal(found[model], want) {
				t.Errorf("%s: owners of model %d: %v", name, model[0], found[model])
			}
		}
		if slices.Sort(models); !slices.Equal(models, c.want) {
			t.Errorf("%s: models %v, want %v", name, models, c.want)
		}
	}
	if _, err := (&admin.Service{Store: unavailableStore{}}).NonCompliantPasskeys(t.Context(), domain.AuthenticatorPolicy{}, nil); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("an outage: %v", err)
	}
}
