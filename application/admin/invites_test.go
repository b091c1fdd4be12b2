package admin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (h *fixture) inviteService() *admin.Service {
	return &admin.Service{
		Store: h.store, Clock: clock{}, Random: rand.Reader, Audit: h.auditLog, Registration: domain.RegistrationInvite,
		InviteURL: func(token domain.InviteToken) domain.Secret {
			return domain.NewSecret("https://id.example.org/" + token.Reveal())
		},
	}
}

// operatorWith returns the operator of a program whose key has the scopes.
func operatorWith(t *testing.T, scopes ...domain.Scope) domain.Operator {
	t.Helper()
	key, _, err := domain.NewAPIKey("Test", scopes, time.Hour, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Operator()
}

func mustCreateInvites(t *testing.T, s *admin.Service, in admin.InviteInput) []admin.InviteLink {
	t.Helper()
	created, err := s.CreateInvites(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestCreateInvites(t *testing.T) {
	h := newFixture(t)
	operator := operatorWith(t, domain.ScopeInvitesWrite, domain.ScopeUsersWrite)
	created := mustCreateInvites(t, h.inviteService().As(operator, identity.Client{}), admin.InviteInput{Groups: []domain.Group{"staff"}, TTL: time.Hour, Count: 3})
	if len(created) != 3 || created[0].Token == created[1].Token {
		t.Fatalf("created %v", created)
	}
	var named []domain.InviteID
	for _, e := range h.events(domain.UserID{}) {
		if e.Kind != domain.EventInviteCreated || e.Actor != domain.ActorOperator || e.APIKey != operator.APIKeyID() {
			t.Errorf("logged %+v", e)
		}
		named = append(named, e.Invite)
	}
	listed, err := h.inviteService().ListInvites(t.Context(), domain.InviteID{}, 10)
	if err != nil || len(listed) != 3 {
		t.Fatalf("listed %v, %v", listed, err)
	}
	for _, i := range created {
		s := i.State()
		if i.Status != domain.InviteActive || s.Token != i.Token.Digest() || !slices.Equal(s.Groups, domain.Groups{"staff"}) || i.Link.Reveal() != "https://id.example.org/"+i.Token.Reveal() || !slices.Contains(named, s.ID) {
			t.Errorf("created %+v, named %v", s, named)
		}
	}
	after, err := h.inviteService().ListInvites(t.Context(), listed[1].ID(), 10)
	if err != nil || len(after) != 1 || after[0].ID() != listed[2].ID() {
		t.Errorf("the second page: %v, %v", after, err)
	}
}

func TestCreateInvites_RejectsInvalidInput(t *testing.T) {
	h := newFixture(t)
	for name, in := range map[string]admin.InviteInput{
		"no count":                   {TTL: time.Hour},
		"101 invites":                {TTL: time.Hour, Count: 101},
		"two invites of one address": {TTL: time.Hour, Count: 2, Email: "ada@example.org"},
		"no time":                    {Count: 1},
	} {
		if created, err := h.inviteService().CreateInvites(t.Context(), in); !errors.Is(err, domain.ErrInvalidRequest) || created != nil {
			t.Errorf("%s: %v, %v", name, created, err)
		}
	}
	closed := h.inviteService()
	closed.Registration = domain.RegistrationClosed
	if created, err := closed.CreateInvites(t.Context(), admin.InviteInput{TTL: time.Hour, Count: 1}); !errors.Is(err, domain.ErrInvitesNotAccepted) || created != nil {
		t.Errorf("sign-up is closed: %v, %v", created, err)
	}
	if listed, err := h.inviteService().ListInvites(t.Context(), domain.InviteID{}, 1); err != nil || len(listed) != 0 || len(h.events(domain.UserID{})) != 0 {
		t.Errorf("stored %v, %v", listed, err)
	}
}

// Only the scope that changes groups may put the users who will sign up into groups.
// Requirement: ASVS-8.2.1
func TestInvites_RequireScopes(t *testing.T) {
	h := newFixture(t)
	invite := mustCreateInvites(t, h.inviteService(), admin.InviteInput{TTL: time.Hour, Count: 1})[0]
	create := func(groups ...domain.Group) func(*admin.Service) error {
		return func(s *admin.Service) error {
			_, err := s.CreateInvites(t.Context(), admin.InviteInput{Groups: groups, TTL: time.Hour, Count: 1})
			return err
		}
	}
	list := func(s *admin.Service) error {
		_, err := s.ListInvites(t.Context(), domain.InviteID{}, 1)
		return err
	}
	revoke := func(s *admin.Service) error {
		_, err := s.RevokeInvite(t.Context(), invite.ID())
		return err
	}
	read, write, users := domain.ScopeInvitesRead, domain.ScopeInvitesWrite, domain.ScopeUsersWrite
	for name, c := range map[string]struct {
		call   func(*admin.Service) error
		scopes []domain.Scope
		want   error
	}{
		"create":                     {create(), []domain.Scope{write}, nil},
		"create with others":         {create(), []domain.Scope{read, users}, domain.ErrInsufficientScope},
		"create with groups":         {create("staff"), []domain.Scope{write, users}, nil},
		"groups without users:write": {create("staff"), []domain.Scope{read, write}, domain.ErrInsufficientScope},
		"groups with users:write":    {create("staff"), []domain.Scope{users}, domain.ErrInsufficientScope},
		"list":                       {list, []domain.Scope{read}, nil},
		"list with others":           {list, []domain.Scope{write, users}, domain.ErrInsufficientScope},
		"revoke":                     {revoke, []domain.Scope{write}, nil},
		"revoke with others":         {revoke, []domain.Scope{read, users}, domain.ErrInsufficientScope},
	} {
		if err := c.call(h.inviteService().As(operatorWith(t, c.scopes...), identity.Client{})); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRevokeInvite(t *testing.T) {
	h := newFixture(t)
	invite := mustCreateInvites(t, h.inviteService(), admin.InviteInput{TTL: time.Hour, Count: 1})[0]
	for range 2 { // it is idempotent
		if revoked, err := h.inviteService().RevokeInvite(t.Context(), invite.ID()); err != nil || revoked.Status != domain.InviteRevoked {
			t.Errorf("got %v, %v", revoked, err)
		}
	}
	if log := h.events(domain.UserID{}); len(log) != 2 || log[0].Kind != domain.EventInviteRevoked || log[0].Invite != invite.ID() {
		t.Errorf("logged %+v", log)
	}
	if _, err := h.inviteService().RevokeInvite(t.Context(), domain.InviteID{}); !errors.Is(err, domain.ErrInviteNotFound) {
		t.Errorf("an unknown invite: %v", err)
	}
}

func TestFirstInvite(t *testing.T) {
	h := newFixture(t)
	open := h.inviteService()
	for _, policy := range []domain.RegistrationPolicy{domain.RegistrationOpen, domain.RegistrationClosed} {
		open.Registration = policy
		if first, err := open.FirstInvite(t.Context()); first != nil || err != nil {
			t.Errorf("%s: %v, %v", policy, first, err)
		}
	}
	first, err := h.inviteService().FirstInvite(t.Context())
	if err != nil || first == nil || first.Status != domain.InviteActive || !first.ExpiresAt().Equal(noon.Add(7*24*time.Hour)) || first.Link.Reveal() == "" {
		t.Fatalf("got %v, %v", first, err)
	}
	if log := h.events(domain.UserID{}); len(log) != 1 || log[0].Kind != domain.EventInviteCreated || log[0].Invite != first.ID() {
		t.Errorf("logged %+v", log)
	}
	if second, err := h.inviteService().FirstInvite(t.Context()); second != nil || err != nil {
		t.Errorf("the second start: %v, %v", second, err)
	}
	withUser := newFixture(t)
	withUser.addUser("ada")
	if first, err := withUser.inviteService().FirstInvite(t.Context()); first != nil || err != nil {
		t.Errorf("with a user: %v, %v", first, err)
	}
}

func TestFirstInvite_OneOfSeveralNodesCreatesIt(t *testing.T) {
	h := newFixture(t)
	const nodes = 8
	created := make(chan *admin.InviteLink, nodes)
	var starting, looking sync.WaitGroup
	looking.Add(nodes)
	for range nodes {
		starting.Go(func() {
			s := h.inviteService()
			s.Store = simultaneousViews{s.Store, &looking}
			first, err := s.FirstInvite(t.Context())
			if err != nil {
				t.Error(err)
			}
			if first != nil {
				created <- first
			}
		})
	}
	starting.Wait()
	if len(created) != 1 {
		t.Errorf("%d nodes created an invite", len(created))
	}
}

// simultaneousViews is a store on which each View ends when all callers have had one.
type simultaneousViews struct {
	ports.Store
	looking *sync.WaitGroup
}

func (s simultaneousViews) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	err := s.Store.View(ctx, fn)
	s.looking.Done()
	s.looking.Wait()
	return err
}
