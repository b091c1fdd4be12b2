package signup_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func newInviteFixture(t *testing.T) *fixture {
	t.Helper()
	l := newFixture(t)
	l.policy = domain.RegistrationInvite
	return l
}

// addInvite stores an invite of the time now and returns its token.
func (l *fixture) addInvite(email domain.Email, now time.Time, groups ...domain.Group) (*domain.Invite, domain.InviteToken) {
	l.t.Helper()
	invite, token, err := domain.NewInvite(email, groups, 24*time.Hour, now, rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Invites.Add(l.t.Context(), invite) }); err != nil {
		l.t.Fatal(err)
	}
	return invite, token
}

func (l *fixture) storedInvite(id domain.InviteID) (s domain.InviteState) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		invite, err := tx.Invites.ByID(l.t.Context(), id)
		if err == nil {
			s = invite.State()
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *fixture) revoke(invite *domain.Invite) {
	l.t.Helper()
	if _, err := invite.Revoke(noon); err != nil {
		l.t.Fatal(err)
	}
	if err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Invites.End(l.t.Context(), invite) }); err != nil {
		l.t.Fatal(err)
	}
}

func (l *fixture) mustBeginInvited(token domain.InviteToken) attempt {
	l.t.Helper()
	l.invite = token
	begun, err := l.begin("")
	if err != nil {
		l.t.Fatal(err)
	}
	return begun
}

func (l *fixture) countUsers() (n int) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		users, err := tx.Users.List(l.t.Context(), domain.UserID{}, 100)
		n = len(users)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestSignUp_ConsumesInvite(t *testing.T) {
	for _, policy := range []domain.RegistrationPolicy{domain.RegistrationInvite, domain.RegistrationOpen} {
		l := newInviteFixture(t)
		l.policy = policy
		invite, token := l.addInvite("ada@example.org", noon, "staff")
		signIn, err := l.finish(l.mustBeginInvited(token))
		if err != nil || signIn.User.Email() != "ada@example.org" {
			t.Fatalf("%s: %v, %v", policy, signIn.User, err)
		}
		if user := l.storedUser(signIn.User.ID()); !slices.Equal(user.Groups, domain.Groups{"staff"}) {
			t.Errorf("%s: groups %v", policy, user.Groups)
		}
		if s := l.storedInvite(invite.ID()); s.UserID != signIn.User.ID() || !s.UsedAt.Equal(noon) {
			t.Errorf("%s: the invite is %+v", policy, s)
		}
		var log []domain.EventState
		err = l.store.View(t.Context(), func(tx ports.Tx) error {
			events, err := tx.Events.ListByUser(t.Context(), signIn.User.ID(), domain.EventID{}, 10)
			log = nil
			for _, e := range events {
				log = append(log, e.State())
			}
			return err
		})
		if err != nil || len(log) != 2 || log[0].Kind != domain.EventSignedUp || log[1].Kind != domain.EventInviteUsed || log[1].Invite != invite.ID() || log[1].Actor != domain.ActorUser {
			t.Errorf("%s: logged %+v, %v", policy, log, err)
		}
		if _, err := l.begin(""); !errors.Is(err, domain.ErrInviteUsed) {
			t.Errorf("%s: again: %v", policy, err)
		}
	}
}

func TestBegin_RejectsInvites(t *testing.T) {
	l := newInviteFixture(t)
	_, bound := l.addInvite("ada@example.org", noon)
	_, expired := l.addInvite("", noon.Add(-24*time.Hour))
	invite, revoked := l.addInvite("", noon)
	l.revoke(invite)
	_, unknown, err := domain.NewInvite("", nil, time.Hour, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token domain.InviteToken
		email domain.Email
		want  error
	}{
		"no invite":       {domain.InviteToken{}, "", domain.ErrInviteRequired},
		"unknown":         {unknown, "", domain.ErrInviteInvalid},
		"expired":         {expired, "", domain.ErrInviteExpired},
		"revoked":         {revoked, "", domain.ErrInviteRevoked},
		"another address": {bound, "ben@example.org", domain.ErrInviteEmailMismatch},
		"the address":     {bound, "ada@example.org", nil},
	} {
		l.invite = c.token
		if _, err := l.begin(c.email); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.policy = domain.RegistrationClosed
	if _, err := l.begin("ada@example.org"); !errors.Is(err, domain.ErrRegistrationClosed) {
		t.Errorf("registration is closed: %v", err)
	}
}

// Without an invite, a client must not learn which addresses have an account.
// Requirement: ASVS-6.3.8
func TestBegin_InviteIsCheckedBeforeAddress(t *testing.T) {
	l := newFixture(t)
	if _, err := l.finish(l.mustBegin("ada@example.org")); err != nil {
		t.Fatal(err)
	}
	l.policy = domain.RegistrationInvite
	if _, err := l.begin("ada@example.org"); !errors.Is(err, domain.ErrInviteRequired) {
		t.Errorf("a taken address: %v", err)
	}
}

func TestFinish_FailureKeepsInvite(t *testing.T) {
	l := newInviteFixture(t)
	invite, token := l.addInvite("", noon)
	begun := l.mustBeginInvited(token)
	l.relyingParty.beforeVerify = func() { begun.answer.AttestationObject = nil }
	begun.answer.AttestationObject = begun.answer.AttestationObject[1:]
	if _, err := l.finish(begun); err == nil {
		t.Fatal("the response was accepted")
	}
	if s := l.storedInvite(invite.ID()); !s.UsedAt.IsZero() {
		t.Errorf("a failed ceremony has consumed the invite: %+v", s)
	}
	if _, err := l.finish(l.mustBeginInvited(token)); err != nil {
		t.Errorf("the next ceremony: %v", err)
	}
}

// What happens to the invite between the two requests decides, and the sign-up leaves nothing.
func TestFinish_InviteEndedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(l *fixture, invite *domain.Invite, token domain.InviteToken)
		want error
	}{
		"revoked": {func(l *fixture, invite *domain.Invite, _ domain.InviteToken) { l.revoke(invite) }, domain.ErrInviteRevoked},
		"used by another ceremony": {func(l *fixture, _ *domain.Invite, token domain.InviteToken) {
			if _, err := l.finish(l.mustBeginInvited(token)); err != nil {
				l.t.Fatal(err)
			}
		}, domain.ErrInviteUsed},
		"used, and its user deleted": {func(l *fixture, _ *domain.Invite, token domain.InviteToken) {
			signIn, err := l.finish(l.mustBeginInvited(token))
			if err != nil {
				l.t.Fatal(err)
			}
			if err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(l.t.Context(), signIn.User.ID()) }); err != nil {
				l.t.Fatal(err)
			}
		}, domain.ErrInviteInvalid},
		"closed": {func(l *fixture, _ *domain.Invite, _ domain.InviteToken) { l.policy = domain.RegistrationClosed }, domain.ErrRegistrationClosed},
	} {
		for _, during := range []bool{false, true} { // the verification
			l := newInviteFixture(t)
			invite, token := l.addInvite("", noon)
			begun := l.mustBeginInvited(token)
			if during && name != "closed" {
				l.relyingParty.beforeVerify = func() { c.end(l, invite, token) }
			} else {
				c.end(l, invite, token)
			}
			before := -1
			if !during {
				before = l.countUsers()
			}
			if signIn, err := l.finish(begun); !errors.Is(err, c.want) || signIn.User != nil {
				t.Errorf("%s, during %t: %v, %v", name, during, signIn.User, err)
			}
			if after := l.countUsers(); before >= 0 && after != before {
				t.Errorf("%s: %d users, before %d", name, after, before)
			}
			if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) && l.policy != domain.RegistrationClosed {
				t.Errorf("%s: the challenge was not consumed: %v", name, err)
			}
		}
	}
}

func TestFinish_InviteRequiredMeanwhile(t *testing.T) {
	l := newFixture(t)
	begun := l.mustBegin("")
	l.policy = domain.RegistrationInvite
	if signIn, err := l.finish(begun); !errors.Is(err, domain.ErrInviteRequired) || signIn.User != nil {
		t.Errorf("got %v, %v", signIn.User, err)
	}
}

func TestFinish_OneOfConcurrentCeremoniesUsesInvite(t *testing.T) {
	l := newInviteFixture(t)
	invite, token := l.addInvite("", noon)
	const ceremonies = 8
	begun := make([]attempt, ceremonies)
	for i := range begun {
		begun[i] = l.mustBeginInvited(token)
	}
	type outcome struct {
		sessions.SignIn
		error
	}
	outcomes := make(chan outcome)
	for _, a := range begun {
		go func() {
			signIn, err := l.finish(a)
			outcomes <- outcome{signIn, err}
		}()
	}
	var won []domain.UserID
	for range begun {
		o := <-outcomes
		switch {
		case o.error == nil:
			won = append(won, o.User.ID())
		case !errors.Is(o.error, domain.ErrInviteUsed):
			t.Errorf("a loser got %v", o.error)
		}
	}
	if s := l.storedInvite(invite.ID()); len(won) != 1 || s.UserID != won[0] || l.countUsers() != 1 {
		t.Errorf("%d ceremonies succeeded, %d users, %+v", len(won), l.countUsers(), s)
	}
}
