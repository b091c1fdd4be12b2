package admin_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (h *fixture) userService() *admin.Service {
	return &admin.Service{
		Store: h.store, Clock: clock{}, Random: rand.Reader, Audit: h.auditLog, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)},
		RecoveryURL: func(token domain.RecoveryGrantToken) domain.Secret {
			return domain.NewSecret("https://id.example.org/" + token.Reveal())
		},
	}
}

func TestCreateUser(t *testing.T) {
	h := newFixture(t)
	operator := operatorWith(t, domain.ScopeUsersWrite)
	in := admin.UserInput{Email: "ada@example.org", DisplayName: "Ada", Locale: "de", Groups: []domain.Group{"staff"}}
	created, err := h.userService().As(operator, identity.Client{}).CreateUser(t.Context(), in)
	if err != nil || created.Link.Reveal() != "https://id.example.org/"+created.Token.Reveal() || !created.ExpiresAt.Equal(noon.Add(7*24*time.Hour)) {
		t.Fatalf("got %+v, %v", created, err)
	}
	ada := &person{h, created.User, nil}
	if s := ada.stored().State(); s.Email != in.Email || !s.EmailVerifiedAt.IsZero() || s.DisplayName != in.DisplayName || s.Locale != "de" || !slices.Equal(s.Groups, domain.Groups{"staff"}) {
		t.Errorf("stored %+v", s)
	}
	h.update(func(tx ports.Tx) error {
		grant, err := tx.RecoveryGrants.ByToken(t.Context(), created.Token.Digest())
		if err == nil && (grant.UserID() != created.User.ID() || !grant.ExpiresAt().Equal(created.ExpiresAt) || grant.RequireFactors(domain.RecoveryOff) != nil) {
			t.Errorf("the grant is %+v", grant.State())
		}
		return err
	})
	if log := h.events(created.User.ID()); len(log) != 1 || log[0].Kind != domain.EventAccountCreated || log[0].Actor != domain.ActorOperator || log[0].APIKey != operator.APIKeyID() {
		t.Errorf("logged %+v", log)
	}
	if again, err := h.userService().CreateUser(t.Context(), in); !errors.Is(err, domain.ErrEmailTaken) || again.User != nil {
		t.Errorf("a taken address: %+v, %v", again, err)
	}
}

func TestCreateUser_RejectsTooManyGroups(t *testing.T) {
	h := newFixture(t)
	groups := make([]domain.Group, 101)
	for i := range groups {
		groups[i] = domain.Group(fmt.Sprint(i))
	}
	if created, err := h.userService().CreateUser(t.Context(), admin.UserInput{Groups: groups}); !errors.Is(err, domain.ErrInvalidRequest) || created.User != nil {
		t.Errorf("got %+v, %v", created, err)
	}
}

func TestSearchUsers(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	h.addUser("ben")
	found, err := h.userService().SearchUsers(t.Context(), "AD", 10)
	if err != nil || len(found) != 1 || found[0].ID() != ada.user.ID() {
		t.Errorf("found %v, %v", found, err)
	}
}
