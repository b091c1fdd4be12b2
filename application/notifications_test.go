package application_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// wantEmails are the e-mails of each use case with their recipients. The other use cases send none.
var wantEmails = map[string]map[domain.EmailKind]domain.Email{
	"sign up":                      {domain.EmailKindVerificationCode: "ben@example.org"},
	"sign up with a taken address": {domain.EmailKindAddressTaken: "ada@example.org"},

	"request an address": {domain.EmailKindVerificationCode: newAdaEmail},
	"resend the code":    {domain.EmailKindVerificationCode: newAdaEmail},
	"confirm an address": {domain.EmailKindAddressChanged: "ada@example.org"},
	"remove the address": {domain.EmailKindAddressRemoved: "ada@example.org"},

	"add a passkey":                    {domain.EmailKindPasskeyAdded: "ada@example.org"},
	"remove a passkey":                 {domain.EmailKindPasskeyRemoved: "ada@example.org"},
	"sign in with a cloned passkey":    {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"sign in with a flagged passkey":   {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"sign in with an anomaly":          {domain.EmailKindPasskeyFlagged: "ada@example.org"},
	"sign in with a suspended passkey": {domain.EmailKindPasskeySuspended: "ada@example.org"},
	"reuse a refresh token":            {domain.EmailKindRefreshTokenReused: "ada@example.org"},
	"redeem a code twice":              {domain.EmailKindAuthorizationCodeReused: "ada@example.org"},

	"confirm TOTP":                    {domain.EmailKindTOTPAdded: "ada@example.org"},
	"remove TOTP":                     {domain.EmailKindTOTPRemoved: "ada@example.org"},
	"generate backup codes":           {domain.EmailKindBackupCodesGenerated: "ada@example.org"},
	"redeem a backup code":            {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"redeem a TOTP code":              {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"recover a user":                  {domain.EmailKindRecoveryGranted: "ada@example.org"},
	"finish a recovery":               {domain.EmailKindRecovered: "ada@example.org"},
	"redeem the twentieth wrong code": {domain.EmailKindRecoveryLocked: "ada@example.org"},

	"delete the account": {domain.EmailKindAccountDeleted: "ada@example.org"},
	"delete a user":      {domain.EmailKindAccountDeleted: "ada@example.org"},
}

// outlivingKinds are the kinds of e-mails that are not deleted with their account.
var outlivingKinds = []domain.EmailKind{domain.EmailKindAccountDeleted}

// notificationUseCases are further cases for the tests of notifications.
var notificationUseCases = map[string]func(*fixture) func() error{
	"sign in with a cloned passkey": func(f *fixture) func() error {
		return wantError(f.signInWithClone(domain.CounterReject), domain.ErrPasskeyRejected)
	},
	"sign in with a flagged passkey": func(f *fixture) func() error {
		return f.signInWithClone(domain.CounterFlag)
	},
	"sign in with a suspended passkey": func(f *fixture) func() error {
		return wantError(f.signInWithClone(domain.CounterSuspend), domain.ErrPasskeyRejected)
	},
	"reuse a refresh token": func(f *fixture) func() error {
		issuer := f.issuer()
		if err := issuer.SigningKeys.Refresh(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		state := f.ada.Session.State()
		key := domain.RestoreCredential(domain.CredentialState{ID: state.CredentialID, UserID: state.UserID})
		session, token := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		f.update(func(tx ports.Tx) error { return tx.Sessions.Add(f.t.Context(), session) })
		service := &sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Issuer: issuer, Audit: f.auditLog, Lifetime: lifetime}
		refreshed, err := service.Refresh(f.t.Context(), token, identity.Client{})
		if err != nil {
			f.t.Fatal(err)
		}
		f.clock.now = f.clock.now.Add(lifetime.IdleTTL / 2)
		if _, err := service.Refresh(f.t.Context(), refreshed.Refresh, identity.Client{}); err != nil {
			f.t.Fatal(err)
		}
		return wantError(func() error { _, err := service.Refresh(f.t.Context(), token, identity.Client{}); return err }, domain.ErrRefreshTokenReused)
	},
	"redeem a code twice": func(f *fixture) func() error {
		service := f.authorization()
		redemption := f.issueCode(service)
		if _, err := service.Redeem(f.t.Context(), redemption); err != nil {
			f.t.Fatal(err)
		}
		return wantError(func() error { _, err := service.Redeem(f.t.Context(), redemption); return err }, domain.ErrAuthorizationCodeReused)
	},
	"redeem the nineteenth wrong code": func(f *fixture) func() error {
		return f.guessAfter(18)
	},
	"sign in with a forged response": func(f *fixture) func() error {
		input := f.answerSignIn(authenticator.ForgeSignature(func(valid []byte) []byte { return valid[:len(valid)/2] }))
		return wantError(func() error { return f.finishSignIn(input) }, domain.ErrPasskeyRejected)
	},
	"redeem for an unknown account": func(f *fixture) func() error {
		r := f.newRecovery()
		proof := recovery.Proof{User: domain.UserRef{Email: "unknown@example.org"}, TOTPCode: "000000"}
		f.update(func(tx ports.Tx) error {
			lockout := domain.RestoreLockout(domain.LockoutState{Subject: domain.LockoutKey(r.key).UnknownName("unknown@example.org"), Failures: 19, UpdatedAt: noon})
			return tx.Lockouts.Save(f.t.Context(), lockout)
		})
		return wantError(func() error { _, err := r.redeem(proof); return err }, domain.ErrInvalidCode)
	},
}

// signInWithClone signs in with a passkey whose counter is behind the stored one.
func (f *fixture) signInWithClone(policy domain.CounterPolicy) func() error {
	f.t.Helper()
	f.policy.Counter = policy
	f.device = authenticator.New(origin, authenticator.DeviceBound())
	begun, err := f.beginAddPasskey()
	if err != nil {
		f.t.Fatal(err)
	}
	add := &passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), Audit: f.auditLog, Limit: 20}
	added, err := add.FinishAdd(f.t.Context(), f.ada, passkeys.FinishAddInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options)})
	if err != nil {
		f.t.Fatal(err)
	}
	state := added.Credential.State()
	state.SignCount = 1000 // ahead of the device, as if a clone had signed in
	f.update(func(tx ports.Tx) error { return tx.Credentials.Save(f.t.Context(), domain.RestoreCredential(state)) })
	input := f.answerSignIn()
	return func() error { return f.finishSignIn(input) }
}

func allUseCases() map[string]func(*fixture) func() error {
	all := maps.Clone(userUseCases)
	maps.Copy(all, otherUseCases)
	maps.Copy(all, notificationUseCases)
	return all
}

// emailsSentBy executes a use case and returns the e-mails that it added.
func emailsSentBy(t *testing.T, f *fixture, prepare func(*fixture) func() error) (list []domain.OutboxEmailState) {
	t.Helper()
	execute := prepare(f)
	var before []domain.OutboxEmailID
	for _, email := range f.dump().outboxEmails {
		before = append(before, email.ID)
	}
	if err := execute(); err != nil {
		t.Fatal(err)
	}
	for _, email := range f.dump().outboxEmails {
		if !slices.Contains(before, email.ID) {
			list = append(list, email)
		}
	}
	return list
}

// Requirement: ASVS-6.3.5
func TestNotifications_SentForSecurityRelevantUseCases(t *testing.T) {
	all := allUseCases()
	for name := range wantEmails {
		if all[name] == nil {
			t.Errorf("no use case %q", name)
		}
	}
	for name, prepare := range all {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			got := emailsSentBy(t, f, prepare)
			if len(got) != len(wantEmails[name]) {
				t.Errorf("sent %+v, want %v", got, wantEmails[name])
			}
			for _, email := range got {
				if to, wanted := wantEmails[name][email.Kind]; !wanted || email.To != to {
					t.Errorf("sent %+v, want %v", email, wantEmails[name])
				}
				if slices.Contains(outlivingKinds, email.Kind) != email.UserID.IsZero() {
					t.Errorf("%s has the user %s", email.Kind, email.UserID)
				}
				if email.DueAt.After(f.clock.now) || !email.ExpiresAt.After(email.DueAt) || email.Attempts != 0 || (email.Kind == domain.EmailKindVerificationCode) != (email.Code != nil) {
					t.Errorf("sent %+v", email)
				}
			}
		})
	}
}

// An unverified address may belong to another person, who must learn nothing about the account.
func TestNotifications_NotSentToUnverifiedEmail(t *testing.T) {
	all := allUseCases()
	requested := []domain.EmailKind{domain.EmailKindVerificationCode, domain.EmailKindAddressTaken} // by a request for the address
	for name, prepare := range all {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			state := f.ada.User.State()
			state.EmailVerifiedAt = time.Time{}
			f.ada.User = domain.RestoreUser(state)
			f.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), f.ada.User) })
			for _, email := range emailsSentBy(t, f, prepare) {
				if !slices.Contains(requested, email.Kind) {
					t.Errorf("sent %+v", email)
				}
			}
		})
	}
}

func TestNotifications_NotSentWithoutMail(t *testing.T) {
	excluded := []string{"sign up with a taken address", "request an address", "resend the code", "cancel a requested address", "confirm an address", "confirm with a wrong code", "deliver e-mails"}
	all := allUseCases()
	for name, prepare := range all {
		if slices.Contains(excluded, name) {
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

// A notification has the time, the actor and the device of its event.
// Requirement: NIST-4.6
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

// Deleting an account deletes its queued e-mails, except the notification of the deletion.
func TestDelete_LeavesOnlyTheDeletionEmail(t *testing.T) {
	for name, prepare := range map[string]func(*fixture) func() error{"by its owner": userUseCases["delete the account"], "by the operator": otherUseCases["delete a user"]} {
		f := newFixture(t)
		f.requestEmail()
		if err := prepare(f)(); err != nil {
			t.Fatal(err)
		}
		remaining := f.dump().outboxEmails
		if len(remaining) != 1 || remaining[0].Kind != domain.EmailKindAccountDeleted || remaining[0].To != "ada@example.org" || !remaining[0].UserID.IsZero() {
			t.Errorf("%s: remaining %+v", name, remaining)
		}
	}
}
