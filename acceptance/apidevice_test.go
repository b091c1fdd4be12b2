package acceptance

import (
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// apiDevice is a device without a page: an authenticator in software and a connection to the server. A story can direct
// each of its steps.
type apiDevice struct {
	t             testing.TB
	api           api
	authenticator *authenticator.Authenticator
}

// api carries single steps to the server.
type api interface {
	beginSignUp(who profile) (pendingCeremony, rejection)
	finishSignUp(challengeID string, answer authenticator.RegistrationResponse) (shownUser, rejection)
	beginSignIn(email string) (pendingCeremony, rejection)
	finishSignIn(challengeID string, answer authenticator.AuthenticationResponse) (shownUser, rejection)
	whoAmI() (shownUser, rejection)
	signOut() rejection

	// sessionToken and setSessionToken read and set the session's token, as an attacker with a copy of it could.
	sessionToken() string
	setSessionToken(token string)

	// reconnect is a connection of another device, to the same server.
	reconnect() api

	beginStepUp() (pendingCeremony, rejection)
	finishStepUp(challengeID string, answer authenticator.AuthenticationResponse) rejection
	beginAddPasskey() (pendingCeremony, rejection)
	finishAddPasskey(challengeID, name string, answer authenticator.RegistrationResponse) rejection
	passkeys() ([]shownPasskey, rejection)
	renamePasskey(id, name string) rejection
	removePasskey(id string) rejection
	sessions() ([]shownSession, rejection)
	revokeSession(id string) rejection
	revokeOtherSessions() (int, rejection)
	changeAccount(name, email string) (shownUser, rejection)
	deleteAccount() rejection
	events() ([]shownEvent, rejection)

	emailStatus() (shownEmail, rejection)
	sendEmailCode() rejection
	confirmEmail(code string) rejection

	redeem(c recoveryProof) (grant string, refused rejection)
	beginRecovery(grant string) (pendingCeremony, rejection)
	finishRecovery(grant, challengeID string, answer authenticator.RegistrationResponse) (shownUser, rejection)
	recoveryFactors() (shownFactors, rejection)
	setUpTOTP() (secret string, refused rejection)
	confirmTOTP(code string) rejection
	removeTOTP() rejection
	makeBackupCodes() ([]string, rejection)

	// A program's session is carried by tokens, from its next sign-in on.
	useBearerTokens()
	refresh(token string) (tokenPair, rejection)
	tokenPair() tokenPair
	setTokenPair(tokenPair)
}

// tokenPair is what carries the session of a program.
type tokenPair struct{ access, refresh string }

// pendingCeremony is a ceremony under way.
type pendingCeremony struct {
	challengeID string
	options     []byte
}

func (s *apiDevice) signUp(who profile, tricks ...forgery) (shownUser, rejection) {
	s.t.Helper()
	attempt, refused := s.api.beginSignUp(who)
	if refused != (rejection{}) {
		return shownUser{}, refused
	}
	answer, err := s.authenticator.Create(attempt.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.api.finishSignUp(attempt.challengeID, answer)
}

func (s *apiDevice) signIn(email string, tricks ...forgery) (shownUser, rejection) {
	s.t.Helper()
	attempt, refused := s.api.beginSignIn(email)
	if refused != (rejection{}) {
		return shownUser{}, refused
	}
	answer, err := s.authenticator.Get(attempt.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return shownUser{}, rejection{code: "NotAllowedError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.api.finishSignIn(attempt.challengeID, answer)
}

func (s *apiDevice) whoAmI() (shownUser, rejection) { return s.api.whoAmI() }
func (s *apiDevice) signOut() rejection             { return s.api.signOut() }

// mustBeginSignIn starts a sign-in without an address and must succeed.
func (s *apiDevice) mustBeginSignIn() pendingCeremony {
	s.t.Helper()
	begun, refused := s.api.beginSignIn("")
	if refused != (rejection{}) {
		s.t.Fatalf("a sign-in cannot begin: %+v", refused)
	}
	return begun
}

// getAssertion makes the authenticator sign.
func (s *apiDevice) getAssertion(a pendingCeremony, tricks ...forgery) authenticator.AuthenticationResponse {
	s.t.Helper()
	answer, err := s.authenticator.Get(a.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// makeCredential lets the authenticator make a passkey, which the server does not know yet.
func (s *apiDevice) makeCredential(a pendingCeremony, tricks ...forgery) authenticator.RegistrationResponse {
	s.t.Helper()
	answer, err := s.authenticator.Create(a.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// mustBeginSignUp starts a sign-up and must succeed.
func (s *apiDevice) mustBeginSignUp(who profile) pendingCeremony {
	s.t.Helper()
	begun, refused := s.api.beginSignUp(who)
	if refused != (rejection{}) {
		s.t.Fatalf("a sign-up cannot begin: %+v", refused)
	}
	return begun
}

// concurrently lets n callers go at the same moment and counts how they were refused; "" counts those who were not.
func concurrently(n int, call func(i int) rejection) map[string]int {
	codes := make([]string, n)
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			<-start
			codes[i] = call(i).code
		})
	}
	close(start)
	callers.Wait()
	outcomes := map[string]int{}
	for _, code := range codes {
		outcomes[code]++
	}
	return outcomes
}
