package acceptance

import (
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// apiDevice is a device without a page: a software authenticator and an api. A story can call each step of a ceremony.
type apiDevice struct {
	t             testing.TB
	api           api
	authenticator *authenticator.Authenticator
}

// api calls single operations of the server.
type api interface {
	beginSignUp(user profile) (pendingCeremony, rejection)
	finishSignUp(challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection)
	beginSignIn(email string) (pendingCeremony, rejection)
	finishSignIn(challengeID string, response authenticator.AuthenticationResponse) (shownUser, rejection)
	whoAmI() (shownUser, rejection)
	signOut() rejection

	// sessionToken and setSessionToken get and set the session token, as an attacker with a copy of it could.
	sessionToken() string
	setSessionToken(token string)

	// reconnect returns an api of another device, for the same server.
	reconnect() api

	beginStepUp() (pendingCeremony, rejection)
	finishStepUp(challengeID string, response authenticator.AuthenticationResponse) rejection
	beginAddPasskey() (pendingCeremony, rejection)
	finishAddPasskey(challengeID, name string, response authenticator.RegistrationResponse) rejection
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

	redeem(proof recoveryProof) (grant string, rejected rejection)
	beginRecovery(grant string) (pendingCeremony, rejection)
	finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection)
	recoveryFactors() (shownFactors, rejection)
	setUpTOTP() (secret string, rejected rejection)
	confirmTOTP(code string) rejection
	removeTOTP() rejection
	makeBackupCodes() ([]string, rejection)

	// useBearerTokens makes the next sign-in open a session with tokens instead of a cookie.
	useBearerTokens()
	refresh(token string) (tokenPair, rejection)
	tokenPair() tokenPair
	setTokenPair(tokenPair)
}

// tokenPair is the tokens of an app client's session.
type tokenPair struct{ access, refresh string }

// pendingCeremony is a ceremony that has begun.
type pendingCeremony struct {
	challengeID string
	options     []byte
}

func (d *apiDevice) signUp(user profile, forgeries ...forgery) (shownUser, rejection) {
	d.t.Helper()
	attempt, rejected := d.api.beginSignUp(user)
	if rejected != (rejection{}) {
		return shownUser{}, rejected
	}
	response, err := d.authenticator.Create(attempt.options, variations(forgeries)...)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishSignUp(attempt.challengeID, response)
}

func (d *apiDevice) signIn(email string, forgeries ...forgery) (shownUser, rejection) {
	d.t.Helper()
	attempt, rejected := d.api.beginSignIn(email)
	if rejected != (rejection{}) {
		return shownUser{}, rejected
	}
	response, err := d.authenticator.Get(attempt.options, variations(forgeries)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return shownUser{}, rejection{code: "NotAllowedError"}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishSignIn(attempt.challengeID, response)
}

func (d *apiDevice) signInDelayed(meanwhile func()) (shownUser, rejection) {
	d.t.Helper()
	begun := d.mustBeginSignIn()
	response := d.getAssertion(begun)
	meanwhile()
	return d.api.finishSignIn(begun.challengeID, response)
}

func (d *apiDevice) whoAmI() (shownUser, rejection) { return d.api.whoAmI() }
func (d *apiDevice) signOut() rejection             { return d.api.signOut() }

// The methods with must fail the test if the call is rejected.

func (d *apiDevice) mustBeginSignUp(user profile) pendingCeremony {
	d.t.Helper()
	begun, rejected := d.api.beginSignUp(user)
	d.requireOK(rejected)
	return begun
}

// mustBeginSignIn begins a sign-in without an address.
func (d *apiDevice) mustBeginSignIn() pendingCeremony {
	d.t.Helper()
	return d.mustBeginSignInByEmail("")
}

func (d *apiDevice) mustBeginSignInByEmail(email string) pendingCeremony {
	d.t.Helper()
	begun, rejected := d.api.beginSignIn(email)
	d.requireOK(rejected)
	return begun
}

func (d *apiDevice) mustBeginStepUp() pendingCeremony {
	d.t.Helper()
	begun, rejected := d.api.beginStepUp()
	d.requireOK(rejected)
	return begun
}

func (d *apiDevice) mustBeginAddPasskey() pendingCeremony {
	d.t.Helper()
	begun, rejected := d.api.beginAddPasskey()
	d.requireOK(rejected)
	return begun
}

// mustRedeem returns a recovery grant.
func (d *apiDevice) mustRedeem(proof recoveryProof) string {
	d.t.Helper()
	grant, rejected := d.api.redeem(proof)
	d.requireOK(rejected)
	return grant
}

func (d *apiDevice) mustBeginRecovery(grant string) pendingCeremony {
	d.t.Helper()
	begun, rejected := d.api.beginRecovery(grant)
	d.requireOK(rejected)
	return begun
}

func (d *apiDevice) mustRefresh(token string) tokenPair {
	d.t.Helper()
	pair, rejected := d.api.refresh(token)
	d.requireOK(rejected)
	return pair
}

func (d *apiDevice) requireOK(rejected rejection) {
	d.t.Helper()
	if rejected != (rejection{}) {
		d.t.Fatalf("rejected: %+v", rejected)
	}
}

// getAssertion returns the authenticator's assertion for the challenge.
func (d *apiDevice) getAssertion(a pendingCeremony, forgeries ...forgery) authenticator.AuthenticationResponse {
	d.t.Helper()
	response, err := d.authenticator.Get(a.options, variations(forgeries)...)
	if err != nil {
		d.t.Fatal(err)
	}
	return response
}

// getAssertionUnlisted is getAssertion of a client that ignores allowCredentials.
func (d *apiDevice) getAssertionUnlisted(a pendingCeremony, forgeries ...forgery) authenticator.AuthenticationResponse {
	d.t.Helper()
	return d.getAssertion(pendingCeremony{a.challengeID, withoutAllowCredentials(d.t, a.options)}, forgeries...)
}

// makeCredential returns a new passkey of the authenticator, which is not registered yet.
func (d *apiDevice) makeCredential(a pendingCeremony, forgeries ...forgery) authenticator.RegistrationResponse {
	d.t.Helper()
	response, err := d.authenticator.Create(a.options, variations(forgeries)...)
	if err != nil {
		d.t.Fatal(err)
	}
	return response
}

// concurrently makes n calls at the same time and counts their error codes; "" counts the calls that succeeded.
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
