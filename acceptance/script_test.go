package acceptance

import (
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// script is a device without a page: an authenticator in software and a connection to the server. A story can direct
// each of its steps.
type script struct {
	t             testing.TB
	connection    connection
	authenticator *authenticator.Authenticator
}

// connection carries single steps to the server.
type connection interface {
	beginSignUp(who applicant) (attempt, refusal)
	finishSignUp(challengeID string, answer authenticator.RegistrationResponse) (identity, refusal)
	beginSignIn(email string) (attempt, refusal)
	finishSignIn(challengeID string, answer authenticator.AuthenticationResponse) (identity, refusal)
	whoAmI() (identity, refusal)
	signOut() refusal

	// A session's token, as somebody could have copied it and brought it back.
	keepsToken() string
	bringsToken(token string)

	// anew is a connection of another device, to the same server.
	anew() connection

	beginStepUp() (attempt, refusal)
	finishStepUp(challengeID string, answer authenticator.AuthenticationResponse) refusal
	beginAddPasskey() (attempt, refusal)
	finishAddPasskey(challengeID, name string, answer authenticator.RegistrationResponse) refusal
	passkeys() ([]shownPasskey, refusal)
	renamePasskey(id, name string) refusal
	removePasskey(id string) refusal
	sessions() ([]shownSession, refusal)
	revokeSession(id string) refusal
	revokeOtherSessions() (int, refusal)
	changeAccount(name, email string) (identity, refusal)
	deleteAccount() refusal
	events() ([]shownEvent, refusal)

	emailStatus() (shownEmail, refusal)
	sendEmailCode() refusal
	confirmEmail(code string) refusal

	redeem(c claim) (grant string, refused refusal)
	beginRecovery(grant string) (attempt, refusal)
	finishRecovery(grant, challengeID string, answer authenticator.RegistrationResponse) (identity, refusal)
	recoveryFactors() (shownFactors, refusal)
	setUpTOTP() (secret string, refused refusal)
	confirmTOTP(code string) refusal
	removeTOTP() refusal
	makeBackupCodes() ([]string, refusal)

	// A program's session is carried by tokens, from its next sign-in on.
	becomesProgram()
	refreshWith(token string) (tokenPair, refusal)
	keepsTokens() tokenPair
	bringsTokens(tokenPair)
}

// tokenPair is what carries the session of a program.
type tokenPair struct{ access, refresh string }

// attempt is a ceremony under way.
type attempt struct {
	challengeID string
	options     []byte
}

func (s *script) signUp(who applicant, tricks ...trick) (identity, refusal) {
	s.t.Helper()
	attempt, refused := s.connection.beginSignUp(who)
	if refused != (refusal{}) {
		return identity{}, refused
	}
	answer, err := s.authenticator.Create(attempt.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.connection.finishSignUp(attempt.challengeID, answer)
}

func (s *script) signIn(email string, tricks ...trick) (identity, refusal) {
	s.t.Helper()
	attempt, refused := s.connection.beginSignIn(email)
	if refused != (refusal{}) {
		return identity{}, refused
	}
	answer, err := s.authenticator.Get(attempt.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return identity{}, refusal{code: "NotAllowedError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.connection.finishSignIn(attempt.challengeID, answer)
}

func (s *script) whoAmI() (identity, refusal) { return s.connection.whoAmI() }
func (s *script) signOut() refusal            { return s.connection.signOut() }

// beginsSignIn starts a sign-in without an address and must succeed.
func (s *script) beginsSignIn() attempt {
	s.t.Helper()
	begun, refused := s.connection.beginSignIn("")
	if refused != (refusal{}) {
		s.t.Fatalf("a sign-in cannot begin: %+v", refused)
	}
	return begun
}

// answers makes the authenticator sign.
func (s *script) answers(a attempt, tricks ...trick) authenticator.AuthenticationResponse {
	s.t.Helper()
	answer, err := s.authenticator.Get(a.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// makes lets the authenticator make a passkey, which the server does not know yet.
func (s *script) makes(a attempt, tricks ...trick) authenticator.RegistrationResponse {
	s.t.Helper()
	answer, err := s.authenticator.Create(a.options, variations(tricks)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// beginsSignUp starts a sign-up and must succeed.
func (s *script) beginsSignUp(who applicant) attempt {
	s.t.Helper()
	begun, refused := s.connection.beginSignUp(who)
	if refused != (refusal{}) {
		s.t.Fatalf("a sign-up cannot begin: %+v", refused)
	}
	return begun
}

// atOnce lets n callers go at the same moment and counts how they were refused; "" counts those who were not.
func atOnce(n int, call func(i int) refusal) map[string]int {
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
