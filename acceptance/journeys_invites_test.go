package acceptance

import (
	"crypto/rand"
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func requireInvite(c *config.Config) { c.Registration = domain.RegistrationInvite }

// createsInvite makes the operator create an invite, which expires after a day.
func (e *env) createsInvite(email domain.Email, groups ...domain.Group) admin.InviteLink {
	e.t.Helper()
	created, err := e.driver.operator().Admin.CreateInvites(e.t.Context(), admin.InviteInput{Email: email, Groups: groups, TTL: 24 * time.Hour, Count: 1})
	if err != nil {
		e.t.Fatal(err)
	}
	return created[0]
}

func (e *env) revokesInvite(invite admin.InviteLink) {
	e.t.Helper()
	if _, err := e.driver.operator().Admin.RevokeInvite(e.t.Context(), invite.ID()); err != nil {
		e.t.Fatal(err)
	}
}

// invited returns a person with the token of an invite, and without an account.
func (e *env) invited(name string, invite admin.InviteLink) *person {
	e.t.Helper()
	p := e.person(name, phone)
	p.invite = invite.Token.Reveal()
	return p
}

func signsUpWithAnInvite(e *env) {
	invite := e.createsInvite("", "staff")
	ada := e.invited("Ada", invite)
	ada.requireSignUpRejected("user_verification_required", domain.ReasonUserVerificationMissing, noUserVerification)
	ada.signsUp() // the failed attempt has not consumed the invite
	ada.requireEvents(shownEvent{kind: "signed_up"}, shownEvent{kind: "invite_used"})
	ada.signsOut()
	ada.signsIn()

	ben := e.invited("Ben", invite)
	ben.requireSignUpRejected("invite_used", "")
	ada.deletesAccount()
	ben.requireSignUpRejected("invite_invalid", "")
	ben.invite = e.createsInvite("").Token.Reveal()
	ben.signsUp()
}

func signUpNeedsAnInvite(e *env) {
	e.person("Ada", phone).requireSignUpRejected("invite_required", "")
	revoked, expired := e.createsInvite(""), e.createsInvite("")
	e.revokesInvite(revoked)
	e.invited("Ada", revoked).requireSignUpRejected("invite_revoked", "")
	_, unknown, err := domain.NewInvite("", nil, time.Hour, time.Now(), rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	e.invited("Ada", admin.InviteLink{Token: unknown}).requireSignUpRejected("invite_invalid", "")
	e.advance(24 * time.Hour)
	e.invited("Ada", expired).requireSignUpRejected("invite_expired", "")
}

func inviteIsForAnAddress(e *env) {
	invite := e.createsInvite("ada@example.org")
	mallory := e.invited("Mallory", invite)
	mallory.email = "mallory@example.org"
	mallory.requireSignUpRejected("invite_email_mismatch", "")
	ada := e.invited("Ada", invite)
	got := ada.device.signUp(ada.profile)
	ada.email = "ada@example.org" // without an entered address, that of the invite
	ada.requireIdentity(got)
}

// An attacker who has seen the link begins before its owner does, and both respond at once.
func oneCeremonyUsesAnInvite(e *env) {
	const ceremonies = 8
	invite := e.createsInvite("")
	devices := make([]*apiDevice, ceremonies)
	begun := make([]pendingCeremony, ceremonies)
	for i := range devices {
		p := e.invited("Ada", invite)
		devices[i] = p.apiDevice()
		begun[i] = devices[i].mustBeginSignUp(p.profile)
	}
	outcomes := concurrently(e.t, ceremonies, func(i int) result[shownUser] {
		return devices[i].api.finishSignUp(begun[i].challengeID, devices[i].makeCredential(begun[i]))
	})
	if outcomes[""] != 1 || outcomes["invite_used"] != ceremonies-1 {
		e.t.Fatalf("got %v", outcomes)
	}
	e.invited("Ben", e.createsInvite("")).signsUp()
}

// A user signs up with an invite that was revoked while the prompt was open.
func inviteIsRevokedDuringTheCeremony(e *env) {
	invite := e.createsInvite("")
	ada := e.invited("Ada", invite)
	device := ada.apiDevice()
	begun := device.mustBeginSignUp(ada.profile)
	e.revokesInvite(invite)
	ada.requireRejectedAndSignedOut(device.api.finishSignUp(begun.challengeID, device.makeCredential(begun)), "invite_revoked", "")
	ada.invite = e.createsInvite("").Token.Reveal()
	ada.signsUp()
}
