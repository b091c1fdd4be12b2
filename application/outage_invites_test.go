package application_test

import (
	"context"
	"crypto/rand"
	"maps"
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type failingInvites struct {
	ports.Invites
	*failing
}

func (i failingInvites) Add(ctx context.Context, invite *domain.Invite) error {
	return orFail(i.failing, func() error { return i.Invites.Add(ctx, invite) })
}

func (i failingInvites) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Invite, error) {
	return valueOrFail(i.failing, func() (*domain.Invite, error) { return i.Invites.ByToken(ctx, token) })
}

func (i failingInvites) ByID(ctx context.Context, id domain.InviteID) (*domain.Invite, error) {
	return valueOrFail(i.failing, func() (*domain.Invite, error) { return i.Invites.ByID(ctx, id) })
}

func (i failingInvites) List(ctx context.Context, after domain.InviteID, limit int) ([]*domain.Invite, error) {
	return valueOrFail(i.failing, func() ([]*domain.Invite, error) { return i.Invites.List(ctx, after, limit) })
}

func (i failingInvites) End(ctx context.Context, invite *domain.Invite) error {
	return orFail(i.failing, func() error { return i.Invites.End(ctx, invite) })
}

func (i failingInvites) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(i.failing, func() (int, error) { return i.Invites.DeleteExpired(ctx, expired, limit) })
}

func (f *fixture) inviteService() *admin.Service {
	return &admin.Service{
		Store: f.store, Clock: f.clock, Random: rand.Reader, Audit: f.auditLog, Registration: domain.RegistrationInvite,
		InviteURL: func(token domain.InviteToken) domain.Secret { return token.Secret },
	}
}

func (f *fixture) createInvite() (admin.InviteLink, error) {
	created, err := f.inviteService().CreateInvites(f.t.Context(), admin.InviteInput{Groups: []domain.Group{"staff"}, TTL: time.Hour, Count: 1})
	if err != nil {
		return admin.InviteLink{}, err
	}
	return created[0], nil
}

func (f *fixture) mustCreateInvite() admin.InviteLink {
	f.t.Helper()
	invite, err := f.createInvite()
	if err != nil {
		f.t.Fatal(err)
	}
	return invite
}

func init() {
	maps.Copy(otherUseCases, map[string]func(*fixture) (execute func() error){
		"begin sign-up with an invite": func(f *fixture) func() error {
			f.invite = f.mustCreateInvite().Token
			return func() error { _, err := f.beginSignUp("ben@example.org"); return err }
		},
		"sign up with an invite": func(f *fixture) func() error {
			f.invite = f.mustCreateInvite().Token
			return f.signUp("")
		},
		"create an invite": func(f *fixture) func() error {
			return func() error { _, err := f.createInvite(); return err }
		},
		"list the invites": func(f *fixture) func() error {
			return func() error {
				_, err := f.inviteService().ListInvites(f.t.Context(), domain.InviteID{}, 10)
				return err
			}
		},
		"revoke an invite": func(f *fixture) func() error {
			invite := f.mustCreateInvite()
			return func() error { _, err := f.inviteService().RevokeInvite(f.t.Context(), invite.ID()); return err }
		},
		"create the first invite": func(f *fixture) func() error {
			f.update(func(tx ports.Tx) error { return tx.Users.Remove(f.t.Context(), f.ada.User.ID()) })
			return func() error { _, err := f.inviteService().FirstInvite(f.t.Context()); return err }
		},
	})
}
