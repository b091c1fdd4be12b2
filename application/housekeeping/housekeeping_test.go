package housekeeping_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

// leave puts n challenges, n sessions of one user and n messages into the store and a grant, which all end at noon, and n
// events and lockouts of then.
func leave(t *testing.T, store ports.Store, n int) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		ada, err := domain.NewApplicant("", "Ada", noon, rand.Reader)
		if err != nil {
			return err
		}
		key, err := domain.NewCredential(ada.UserID, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, noon)
		if err != nil {
			return err
		}
		if err := tx.Users.Add(t.Context(), ada.Admit(noon)); err != nil {
			return err
		}
		grant, _, err := domain.NewGrant(ada.UserID, nil, domain.CodeDigest{}, domain.GrantKeys{nil}, noon.Add(-10*time.Minute), rand.Reader)
		if err != nil {
			return err
		}
		if err := tx.Grants.Put(t.Context(), grant); err != nil {
			return err
		}
		for i := range n {
			wrong := domain.NewLockout(domain.LockoutKey{}.Unknown(fmt.Sprint(i)))
			wrong.Fail(noon)
			if err := tx.Lockouts.Save(t.Context(), wrong); err != nil {
				return err
			}
			challenge, err := domain.NewChallenge(domain.PurposeLogin, domain.Respondent{}, nil, nil, 0, noon, rand.Reader)
			if err != nil {
				return err
			}
			session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{}, noon, rand.Reader)
			if err != nil {
				return err
			}
			event, err := domain.NewEvent(domain.EventSnapshot{UserID: ada.UserID}, noon, rand.Reader)
			if err != nil {
				return err
			}
			message, err := domain.NewNotice("ada@example.org", ada.UserID, domain.MessageRecovered, event.Snapshot(), noon.Add(-4*24*time.Hour), rand.Reader)
			if err != nil {
				return err
			}
			err = errors.Join(
				tx.Challenges.Add(t.Context(), challenge), tx.Sessions.Add(t.Context(), session), tx.Events.Add(t.Context(), event), tx.Messages.Add(t.Context(), message),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsOverIsKeptForAWhileAndThenSwept(t *testing.T) {
	for after, want := range map[time.Duration]housekeeping.Swept{
		-1:                {},
		0:                 {Grants: 1, Messages: 3},
		5*time.Minute - 1: {Grants: 1, Messages: 3},
		5 * time.Minute:   {Challenges: 3, Grants: 1, Messages: 3},
		24*time.Hour - 1:  {Challenges: 3, Grants: 1, Messages: 3},
		24 * time.Hour:    {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3},

		400*24*time.Hour - 1: {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3},
		400 * 24 * time.Hour: {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3, Lockouts: 3, Events: 3},
	} {
		store := memory.New()
		leave(t, store, 3)
		swept, err := (&housekeeping.Sweep{Store: store, Clock: clock(noon.Add(after))}).Execute(t.Context())
		if err != nil || swept != want {
			t.Errorf("%s after its end: swept %+v, %v; want %+v", after, swept, err, want)
		}
	}
}

// patient lets so many units of work pass and then has an outage.
type patient struct {
	ports.Store
	left int
}

func (p *patient) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if p.left == 0 {
		return domain.ErrUnavailable
	}
	p.left--
	return p.Store.Update(ctx, fn)
}

// One unit of work is small, so that nobody who signs in waits for a sweep after a long absence.
func TestALongAbsenceIsSweptInSmallUnits(t *testing.T) {
	for units, want := range map[int]housekeeping.Swept{
		0:  {},
		1:  {Challenges: 256},
		3:  {Challenges: 512}, // the third finds nothing, which ends the challenges
		4:  {Challenges: 512, Sessions: 256},
		6:  {Challenges: 512, Sessions: 512},
		7:  {Challenges: 512, Sessions: 512, Grants: 1},
		8:  {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 256},
		10: {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 512},
		11: {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 512, Messages: 256},
		13: {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 512, Messages: 512},
		14: {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 512, Messages: 512, Events: 256},
		16: {Challenges: 512, Sessions: 512, Grants: 1, Lockouts: 512, Messages: 512, Events: 512},
	} {
		t.Run(fmt.Sprint(units), func(t *testing.T) {
			store := &patient{memory.New(), 1}
			leave(t, store, 512)
			store.left = units
			swept, err := (&housekeeping.Sweep{Store: store, Clock: clock(noon.Add(400 * 24 * time.Hour))}).Execute(t.Context())
			if swept != want || (err == nil) != (units == 16) || err != nil && !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("swept %+v, %v; want %+v", swept, err, want)
			}
		})
	}
}

// deaf is a store that is reached and cannot look anything up.
type deaf struct{ ports.Store }

type deafUsers struct{ ports.Users }

func (d deaf) View(ctx context.Context, fn func(ports.Tx) error) error {
	return d.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = deafUsers{}
		return fn(tx)
	})
}

func (deafUsers) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestItIsReadyWhileTheStoreAnswers(t *testing.T) {
	if err := (&housekeeping.Ready{Store: memory.New()}).Execute(t.Context()); err != nil {
		t.Errorf("an empty store is not ready: %v", err)
	}
	if err := (&housekeeping.Ready{Store: deaf{memory.New()}}).Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a store that cannot look anything up: got %v", err)
	}
}
