package application_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// letters are what is sent because of each deed, to whom. Of what is not here nobody hears.
var letters = map[string]map[domain.MessageKind]domain.Email{
	"sign up":            {domain.MessageEmailCode: "ben@example.org"},
	"sign up as another": {domain.MessageAddressTaken: "ada@example.org"},

	"claim an address":       {domain.MessageEmailCode: claimedByAda},
	"have another code sent": {domain.MessageEmailCode: claimedByAda},
	"prove an address":       {domain.MessageEmailChanged: "ada@example.org"},
	"take an address off":    {domain.MessageEmailRemoved: "ada@example.org"},

	"add a passkey":        {domain.MessagePasskeyAdded: "ada@example.org"},
	"remove a passkey":     {domain.MessagePasskeyRemoved: "ada@example.org"},
	"use a copied passkey": {domain.MessagePasskeyFlagged: "ada@example.org"},
	"use a copied passkey where that is only noted": {domain.MessagePasskeyFlagged: "ada@example.org"},
	"sign in oddly":      {domain.MessagePasskeyFlagged: "ada@example.org"},
	"suspend a passkey":  {domain.MessagePasskeySuspended: "ada@example.org"},
	"show a spent token": {domain.MessageRefreshTokenReused: "ada@example.org"},

	"confirm an app":               {domain.MessageTOTPAdded: "ada@example.org"},
	"remove an app":                {domain.MessageTOTPRemoved: "ada@example.org"},
	"make backup codes":            {domain.MessageBackupCodesMade: "ada@example.org"},
	"redeem a backup code":         {domain.MessageRecoveryGranted: "ada@example.org"},
	"redeem a code of an app":      {domain.MessageRecoveryGranted: "ada@example.org"},
	"give a grant":                 {domain.MessageRecoveryGranted: "ada@example.org"},
	"finish a recovery":            {domain.MessageRecovered: "ada@example.org"},
	"guess for the twentieth time": {domain.MessageRecoveryClosed: "ada@example.org"},

	"delete the account": {domain.MessageAccountDeleted: "ada@example.org"},
	"delete a user":      {domain.MessageAccountDeleted: "ada@example.org"},
}

// outliving are letters that do not go with the account that they are about.
var outliving = []domain.MessageKind{domain.MessageAccountDeleted}

// further are deeds that only this is asked about.
var further = map[string]func(*house) func() error{
	"use a copied passkey": func(h *house) func() error {
		return onceRefused(h.signsInByACopy(domain.CounterReject), domain.ErrPasskeyRejected)
	},
	"use a copied passkey where that is only noted": func(h *house) func() error {
		return h.signsInByACopy(domain.CounterFlag)
	},
	"suspend a passkey": func(h *house) func() error {
		return onceRefused(h.signsInByACopy(domain.CounterSuspend), domain.ErrPasskeyRejected)
	},
	"show a spent token": func(h *house) func() error {
		issuer := h.issuer()
		if err := (&tokens.KeepKeys{Keyring: issuer.Keyring}).Execute(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		is := h.ada.Session.Snapshot()
		key := domain.RestoreCredential(domain.CredentialSnapshot{ID: is.CredentialID, UserID: is.UserID})
		session, token, err := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		if err != nil {
			h.t.Fatal(err)
		}
		h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
		refresh := &sessions.Refresh{Store: h.store, Clock: h.clock, Issuer: issuer, Log: h.log, Lifetime: lifetime}
		refreshed, err := refresh.Execute(h.t.Context(), token, access.Visitor{})
		if err != nil {
			h.t.Fatal(err)
		}
		h.clock.now = h.clock.now.Add(lifetime.IdleTTL / 2)
		if _, err := refresh.Execute(h.t.Context(), refreshed.Refresh, access.Visitor{}); err != nil {
			h.t.Fatal(err)
		}
		return onceRefused(func() error { _, err := refresh.Execute(h.t.Context(), token, access.Visitor{}); return err }, domain.ErrRefreshTokenReused)
	},
	"guess for the nineteenth time": func(h *house) func() error {
		return h.guessesAfter(18)
	},
	"sign in by a forged answer": func(h *house) func() error {
		answer := h.begunSignIn(authenticator.ForgeSignature(func(honest []byte) []byte { return honest[:len(honest)/2] }))
		return onceRefused(func() error { return h.signsIn(answer) }, domain.ErrPasskeyRejected)
	},
	"recover by a name that nobody has": func(h *house) func() error {
		r := h.recovers()
		mallorys := recovery.Claim{Name: recovery.Name{Email: "nobody@example.org"}, TOTPCode: "000000"}
		h.update(func(tx ports.Tx) error {
			wrong := domain.RestoreLockout(domain.LockoutSnapshot{Subject: domain.LockoutKey(r.key).Unknown("nobody@example.org"), Failures: 19})
			return tx.Lockouts.Save(h.t.Context(), wrong)
		})
		return onceRefused(func() error { _, err := r.redeems(mallorys); return err }, domain.ErrInvalidCode)
	},
}

// signsInByACopy is a sign-in with a passkey whose counter is behind the one that is stored.
func (h *house) signsInByACopy(policy domain.CounterPolicy) func() error {
	h.t.Helper()
	h.policy.Counter = policy
	h.device = authenticator.New(origin, authenticator.DeviceBound())
	started, err := h.beginsToAdd()
	if err != nil {
		h.t.Fatal(err)
	}
	add := &passkeys.FinishAdd{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Log: h.log, Limit: 20}
	added, err := add.Execute(h.t.Context(), h.ada, passkeys.Answer{ChallengeID: started.ChallengeID, Credential: h.creates(started.Options)})
	if err != nil {
		h.t.Fatal(err)
	}
	is := added.Credential.Snapshot()
	is.SignCount = 1000 // ahead of the device, so that the next sign-in looks like one by a copy
	h.update(func(tx ports.Tx) error { return tx.Credentials.Save(h.t.Context(), domain.RestoreCredential(is)) })
	answer := h.begunSignIn()
	return func() error { return h.signsIn(answer) }
}

func everyDeed() map[string]func(*house) func() error {
	every := maps.Clone(deeds)
	maps.Copy(every, others)
	maps.Copy(every, further)
	return every
}

// brings does a deed and returns the letters that were not there before.
func brings(t *testing.T, h *house, prepare func(*house) func() error) (list []domain.MessageSnapshot) {
	t.Helper()
	does := prepare(h)
	var before []domain.MessageID
	for _, m := range h.keeps().messages {
		before = append(before, m.ID)
	}
	if err := does(); err != nil {
		t.Fatal(err)
	}
	for _, m := range h.keeps().messages {
		if !slices.Contains(before, m.ID) {
			list = append(list, m)
		}
	}
	return list
}

func TestPeopleAreToldOfWhatOpensTheirAccountAndOfNothingElse(t *testing.T) {
	every := everyDeed()
	for name := range letters {
		if every[name] == nil {
			t.Errorf("nobody can %s", name)
		}
	}
	for name, prepare := range every {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			got := brings(t, h, prepare)
			if len(got) != len(letters[name]) {
				t.Errorf("sent %+v, want %v", got, letters[name])
			}
			for _, m := range got {
				if to, wanted := letters[name][m.Kind]; !wanted || m.To != to {
					t.Errorf("sent %+v, want %v", m, letters[name])
				}
				if slices.Contains(outliving, m.Kind) != m.UserID.IsZero() {
					t.Errorf("%s belongs to %s", m.Kind, m.UserID)
				}
				if m.DueAt.After(h.clock.now) || !m.ExpiresAt.After(m.DueAt) || m.Attempts != 0 || (m.Kind == domain.MessageEmailCode) != (m.Code != nil) {
					t.Errorf("sent %+v", m)
				}
			}
		})
	}
}

// An address that nobody has proved may be a stranger's, and they learn nothing of the account.
func TestNothingIsToldToAnAddressThatIsNotVerified(t *testing.T) {
	every := everyDeed()
	asked := []domain.MessageKind{domain.MessageEmailCode, domain.MessageAddressTaken} // by somebody who claims it
	for name, prepare := range every {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			is := h.ada.User.Snapshot()
			is.EmailVerifiedAt = time.Time{}
			h.ada.User = domain.RestoreUser(is)
			h.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), h.ada.User) })
			for _, m := range brings(t, h, prepare) {
				if !slices.Contains(asked, m.Kind) {
					t.Errorf("told %+v", m)
				}
			}
		})
	}
}

func TestWhereNoMailIsSentNobodyIsToldAnything(t *testing.T) {
	mails := []string{"sign up as another", "claim an address", "have another code sent", "withdraw a claim", "prove an address", "show a wrong code", "deliver"}
	every := everyDeed()
	for name, prepare := range every {
		if slices.Contains(mails, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.sendsNoMail()
			if got := brings(t, h, prepare); got != nil {
				t.Errorf("sent %+v", got)
			}
		})
	}
}

// A letter says what was done, when, by whom and from where, as the log does.
func TestANoticeSaysWhatTheLogSays(t *testing.T) {
	h := newHouse(t)
	h.ada.Visitor = access.Visitor{UserAgent: "curl/8.5.0", IP: "203.0.113.9"}
	got := brings(t, h, deeds["remove a passkey"])
	if want := (domain.MessageFacts{At: noon, By: domain.ByUser, IP: "203.0.113.9"}); len(got) != 1 || got[0].About != want {
		t.Errorf("sent %+v", got)
	}
	got = brings(t, newHouse(t), others["delete a user"])
	if want := (domain.MessageFacts{At: noon, By: domain.ByOperator}); len(got) != 1 || got[0].About != want {
		t.Errorf("sent %+v", got)
	}
}

// The account's other letters go with it; the last one does not.
func TestOfADeletedAccountOnlyTheLastLetterIsLeft(t *testing.T) {
	for name, prepare := range map[string]func(*house) func() error{"by its owner": deeds["delete the account"], "by the operator": others["delete a user"]} {
		h := newHouse(t)
		h.claimed()
		if err := prepare(h)(); err != nil {
			t.Fatal(err)
		}
		left := h.keeps().messages
		if len(left) != 1 || left[0].Kind != domain.MessageAccountDeleted || left[0].To != "ada@example.org" || !left[0].UserID.IsZero() {
			t.Errorf("%s: left %+v", name, left)
		}
	}
}
