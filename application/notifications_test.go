package application_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// wantEmails are what is sent because of each deed, to whom. Of what is not here nobody hears.
var wantEmails = map[string]map[domain.EmailKind]domain.Email{
	"sign up":            {domain.EmailKindVerificationCode: "ben@example.org"},
	"sign up as another": {domain.EmailKindAddressTaken: "ada@example.org"},

	"claim an address":       {domain.EmailKindVerificationCode: newAdaEmail},
	"have another code sent": {domain.EmailKindVerificationCode: newAdaEmail},
	"prove an address":       {domain.EmailKindAddressChanged: "ada@example.org"},
	"take an address off":    {domain.EmailKindAddressRemoved: "ada@example.org"},

	"add a passkey":        {domain.EmailKindPasskeyAdded: "ada@example.org"},
	"remove a passkey":     {domain.EmailKindPasskeyRemoved: "ada@example.org"},
	"use a copied passkey": {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"use a copied passkey where that is only noted": {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"sign in oddly":      {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"suspend a passkey":  {domain.EmailKindPasskeySuspended: "ada@example.org"},
	"show a spent token": {domain.EmailKindRefreshTokenReused: "ada@example.org"},

	"confirm an app":               {domain.EmailKindTOTPAdded: "ada@example.org"},
	"remove an app":                {domain.EmailKindTOTPRemoved: "ada@example.org"},
	"make backup codes":            {domain.EmailKindBackupCodesGenerated: "ada@example.org"},
	"redeem a backup code":         {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"redeem a code of an app":      {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"give a grant":                 {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"finish a recovery":            {domain.EmailKindRecovered: "ada@example.org"},
	"guess for the twentieth time": {domain.EmailKindRecoveryLocked: "ada@example.org"},

	"delete the account": {domain.EmailKindAccountDeleted: "ada@example.org"},
	"delete a user":      {domain.EmailKindAccountDeleted: "ada@example.org"},
}

// outlivingKinds are letters that do not go with the account that they are about.
var outlivingKinds = []domain.EmailKind{domain.EmailKindAccountDeleted}

// notificationUseCases are deeds that only this is asked about.
var notificationUseCases = map[string]func(*fixture) func() error{
	"use a copied passkey": func(h *fixture) func() error {
		return wantRefused(h.signInWithClone(domain.CounterReject), domain.ErrPasskeyRejected)
	},
	"use a copied passkey where that is only noted": func(h *fixture) func() error {
		return h.signInWithClone(domain.CounterFlag)
	},
	"suspend a passkey": func(h *fixture) func() error {
		return wantRefused(h.signInWithClone(domain.CounterSuspend), domain.ErrPasskeyRejected)
	},
	"show a spent token": func(h *fixture) func() error {
		issuer := h.issuer()
		if err := issuer.SigningKeys.Refresh(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		is := h.ada.Session.State()
		key := domain.RestoreCredential(domain.CredentialState{ID: is.CredentialID, UserID: is.UserID})
		session, token := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
		service := &sessions.Service{Store: h.store, Clock: h.clock, Issuer: issuer, Audit: h.auditLog, Lifetime: lifetime}
		refreshed, err := service.Refresh(h.t.Context(), token, identity.Client{})
		if err != nil {
			h.t.Fatal(err)
		}
		h.clock.now = h.clock.now.Add(lifetime.IdleTTL / 2)
		if _, err := service.Refresh(h.t.Context(), refreshed.Refresh, identity.Client{}); err != nil {
			h.t.Fatal(err)
		}
		return wantRefused(func() error { _, err := service.Refresh(h.t.Context(), token, identity.Client{}); return err }, domain.ErrRefreshTokenReused)
	},
	"guess for the nineteenth time": func(h *fixture) func() error {
		return h.guessAfter(18)
	},
	"sign in by a forged answer": func(h *fixture) func() error {
		answer := h.answerSignIn(authenticator.ForgeSignature(func(honest []byte) []byte { return honest[:len(honest)/2] }))
		return wantRefused(func() error { return h.finishSignIn(answer) }, domain.ErrPasskeyRejected)
	},
	"recover by a name that nobody has": func(h *fixture) func() error {
		r := h.newRecovery()
		mallorys := recovery.Proof{User: domain.UserRef{Email: "nobody@example.org"}, TOTPCode: "000000"}
		h.update(func(tx ports.Tx) error {
			wrong := domain.RestoreLockout(domain.LockoutState{Subject: domain.LockoutKey(r.key).UnknownName("nobody@example.org"), Failures: 19, UpdatedAt: noon})
			return tx.Lockouts.Save(h.t.Context(), wrong)
		})
		return wantRefused(func() error { _, err := r.redeem(mallorys); return err }, domain.ErrInvalidCode)
	},
}

// signInWithClone is a sign-in with a passkey whose counter is behind the one that is stored.
func (f *fixture) signInWithClone(policy domain.CounterPolicy) func() error {
	f.t.Helper()
	f.policy.Counter = policy
	f.device = authenticator.New(origin, authenticator.DeviceBound())
	started, err := f.beginAddPasskey()
	if err != nil {
		f.t.Fatal(err)
	}
	add := &passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), Audit: f.auditLog, Limit: 20}
	added, err := add.FinishAdd(f.t.Context(), f.ada, passkeys.FinishAddInput{ChallengeID: started.ChallengeID, Credential: f.createCredential(started.Options)})
	if err != nil {
		f.t.Fatal(err)
	}
	state := added.Credential.State()
	state.SignCount = 1000 // ahead of the device, so that the next sign-in looks like one by a copy
	f.update(func(tx ports.Tx) error { return tx.Credentials.Save(f.t.Context(), domain.RestoreCredential(state)) })
	answer := f.answerSignIn()
	return func() error { return f.finishSignIn(answer) }
}

func allUseCases() map[string]func(*fixture) func() error {
	every := maps.Clone(userUseCases)
	maps.Copy(every, otherUseCases)
	maps.Copy(every, notificationUseCases)
	return every
}

// emailsSentBy does a deed and returns the letters that were not there before.
func emailsSentBy(t *testing.T, f *fixture, prepare func(*fixture) func() error) (list []domain.OutboxEmailState) {
	t.Helper()
	execute := prepare(f)
	var before []domain.OutboxEmailID
	for _, m := range f.dump().outboxEmails {
		before = append(before, m.ID)
	}
	if err := execute(); err != nil {
		t.Fatal(err)
	}
	for _, m := range f.dump().outboxEmails {
		if !slices.Contains(before, m.ID) {
			list = append(list, m)
		}
	}
	return list
}

func TestNotifications_SentForSecurityRelevantUseCases(t *testing.T) {
	every := allUseCases()
	for name := range wantEmails {
		if every[name] == nil {
			t.Errorf("nobody can %s", name)
		}
	}
	for name, prepare := range every {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			got := emailsSentBy(t, f, prepare)
			if len(got) != len(wantEmails[name]) {
				t.Errorf("sent %+v, want %v", got, wantEmails[name])
			}
			for _, m := range got {
				if to, wanted := wantEmails[name][m.Kind]; !wanted || m.To != to {
					t.Errorf("sent %+v, want %v", m, wantEmails[name])
				}
				if slices.Contains(outlivingKinds, m.Kind) != m.UserID.IsZero() {
					t.Errorf("%s belongs to %s", m.Kind, m.UserID)
				}
				if m.DueAt.After(f.clock.now) || !m.ExpiresAt.After(m.DueAt) || m.Attempts != 0 || (m.Kind == domain.EmailKindVerificationCode) != (m.Code != nil) {
					t.Errorf("sent %+v", m)
				}
			}
		})
	}
}

// An address that nobody has proved may be a stranger's, and they learn nothing of the account.
func TestNotifications_NotSentToUnverifiedEmail(t *testing.T) {
	every := allUseCases()
	asked := []domain.EmailKind{domain.EmailKindVerificationCode, domain.EmailKindAddressTaken} // by somebody who claims it
	for name, prepare := range every {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			state := f.ada.User.State()
			state.EmailVerifiedAt = time.Time{}
			f.ada.User = domain.RestoreUser(state)
			f.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), f.ada.User) })
			for _, m := range emailsSentBy(t, f, prepare) {
				if !slices.Contains(asked, m.Kind) {
					t.Errorf("told %+v", m)
				}
			}
		})
	}
}

func TestNotifications_NotSentWithoutMail(t *testing.T) {
	mails := []string{"sign up as another", "claim an address", "have another code sent", "withdraw a claim", "prove an address", "show a wrong code", "deliver"}
	every := allUseCases()
	for name, prepare := range every {
		if slices.Contains(mails, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.disableMail()
			if got := emailsSentBy(t, f, prepare); got != nil {
				t.Errorf("sent %+v", got)
			}
		})
	}
}

// A letter says what was done, when, by whom and from where, as the log does.
func TestNotifications_MatchTheAuditEvent(t *testing.T) {
	f := newFixture(t)
	f.ada.Client = identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9"}
	got := emailsSentBy(t, f, userUseCases["remove a passkey"])
	if want := (domain.EmailDetails{At: noon, Actor: domain.ActorUser, IP: "203.0.113.9"}); len(got) != 1 || got[0].Details != want {
		t.Errorf("sent %+v", got)
	}
	got = emailsSentBy(t, newFixture(t), otherUseCases["delete a user"])
	if want := (domain.EmailDetails{At: noon, Actor: domain.ActorOperator}); len(got) != 1 || got[0].Details != want {
		t.Errorf("sent %+v", got)
	}
}

// The account's other letters go with it; the last one does not.
func TestDelete_LeavesOnlyTheDeletionEmail(t *testing.T) {
	for name, prepare := range map[string]func(*fixture) func() error{"by its owner": userUseCases["delete the account"], "by the operator": otherUseCases["delete a user"]} {
		f := newFixture(t)
		f.requestEmail()
		if err := prepare(f)(); err != nil {
			t.Fatal(err)
		}
		left := f.dump().outboxEmails
		if len(left) != 1 || left[0].Kind != domain.EmailKindAccountDeleted || left[0].To != "ada@example.org" || !left[0].UserID.IsZero() {
			t.Errorf("%s: left %+v", name, left)
		}
	}
}
