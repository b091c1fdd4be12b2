package domain_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// confirmedTOTP returns Ada's app with the secret, confirmed at noon with a code of step 100.
func confirmedTOTP(secret string) *domain.TOTP {
	app := domain.NewTOTP(adasID)
	app.BeginSetup([]byte(secret), noon)
	app.Confirm(100, noon)
	return app
}

func TestTOTP_Confirm(t *testing.T) {
	app := domain.NewTOTP(adasID)
	counts := func(when string, want bool) {
		t.Helper()
		if app.UserID() != adasID || app.Confirmed() != want || (app.Secret() != nil) != want || app.ConfirmedAt().IsZero() == want {
			t.Errorf("%s: %+v", when, app.State())
		}
		if err := domain.RestoreTOTP(app.State()).Accept(1 << 40); (err == nil) != want || err != nil && !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%s, a code of it: %v", when, err)
		}
	}
	counts("new", false)
	app.BeginSetup([]byte("encrypted"), noon)
	counts("set up", false)
	app.Confirm(100, noon.Add(time.Minute))
	counts("confirmed", true)
	want := domain.TOTPState{UserID: adasID, Secret: []byte("encrypted"), ConfirmedAt: noon.Add(time.Minute), LastStep: 100}
	if got := app.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTOTP_PendingSecret_expiry(t *testing.T) {
	app := domain.NewTOTP(adasID)
	app.BeginSetup([]byte("first"), noon.Add(-time.Minute))
	app.BeginSetup([]byte("encrypted"), noon) // replaces the first, with a time of its own
	for after, good := range map[time.Duration]bool{0: true, 15*time.Minute - 1: true, 15 * time.Minute: true, 15*time.Minute + 1: false, 24 * time.Hour: false} {
		secret, err := app.PendingSecret(noon.Add(after))
		if good && (string(secret) != "encrypted" || err != nil) || !good && (secret != nil || !errors.Is(err, domain.ErrInvalidCode)) {
			t.Errorf("after %s: %q, %v", after, secret, err)
		}
	}
}

func TestTOTP_PendingSecret_withoutSetup(t *testing.T) {
	for name, app := range map[string]*domain.TOTP{"new": domain.NewTOTP(adasID), "confirmed": confirmedTOTP("encrypted")} {
		if secret, err := app.PendingSecret(noon); secret != nil || !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%s: %q, %v", name, secret, err)
		}
	}
	// The zero time must not make a missing secret valid.
	if secret, err := domain.NewTOTP(adasID).PendingSecret(time.Time{}); secret != nil || !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("at the zero time: %q, %v", secret, err)
	}
}

func TestTOTP_BeginSetup_keepsConfirmed(t *testing.T) {
	app := confirmedTOTP("old")
	want := app.State()
	app.BeginSetup([]byte("new"), noon.Add(time.Hour))
	want.PendingSecret, want.PendingAt = []byte("new"), noon.Add(time.Hour)
	if got := app.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := app.Accept(101); err != nil {
		t.Errorf("a code of the old app: %v", err)
	}
	app.Confirm(90, noon.Add(time.Hour)) // independent of the last step of the old app
	if string(app.Secret()) != "new" || !app.ConfirmedAt().Equal(noon.Add(time.Hour)) {
		t.Errorf("confirmed: %+v", app.State())
	}
	if err := app.Accept(91); err != nil {
		t.Errorf("the next code of the new app: %v", err)
	}
}

// Requirement: ASVS-6.5.1, NIST-3.1.4
func TestTOTP_Accept_rejectsReuse(t *testing.T) {
	app := confirmedTOTP("encrypted")
	for _, c := range []struct {
		step domain.TOTPStep
		good bool
	}{
		{100, false}, // the code of the confirmation
		{99, false}, {0, false}, {-1, false},
		{101, true}, {101, false}, {100, false},
		{105, true}, {104, false}, {102, false}, {105, false},
		{106, true},
	} {
		before := app.State()
		if err := app.Accept(c.step); (err == nil) != c.good || err != nil && (!errors.Is(err, domain.ErrInvalidCode) || !errors.Is(err, domain.ErrCodeReused)) {
			t.Errorf("%d after %d: %v", c.step, before.LastStep, err)
		}
		if c.good {
			before.LastStep = c.step
		}
		if got := app.State(); !reflect.DeepEqual(got, before) {
			t.Errorf("%d: got  %+v\nwant %+v", c.step, got, before)
		}
	}
	if err := domain.NewTOTP(adasID).Accept(1); !errors.Is(err, domain.ErrInvalidCode) || errors.Is(err, domain.ErrCodeReused) {
		t.Errorf("without an app: %v", err)
	}
}

func TestTOTP_StateIsACopy(t *testing.T) {
	sealed := []byte("new")
	app := confirmedTOTP("old")
	app.BeginSetup(sealed, noon)
	taken := app.State()
	restored := domain.RestoreTOTP(taken)
	pending, _ := app.PendingSecret(noon)
	for _, theirs := range [][]byte{sealed, taken.Secret, taken.PendingSecret, app.Secret(), pending} {
		theirs[0] = 'X'
	}
	for name, app := range map[string]*domain.TOTP{"the app": app, "the restored one": restored} {
		if is := app.State(); string(is.Secret) != "old" || string(is.PendingSecret) != "new" {
			t.Errorf("%s shares memory with its caller: %s, %s", name, is.Secret, is.PendingSecret)
		}
	}
}
