package acceptance

import (
	"errors"
	"strings"
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
	beginSignUp(user profile) result[pendingCeremony]
	finishSignUp(challengeID string, response authenticator.RegistrationResponse) result[shownUser]
	beginSignIn(email string) result[pendingCeremony]
	finishSignIn(challengeID string, response authenticator.AuthenticationResponse) result[shownUser]
	whoAmI() result[shownUser]
	signOut() rejection

	// sessionToken and setSessionToken get and set the session token, as an attacker with a copy of it could.
	sessionToken() string
	setSessionToken(token string)

	// reconnect returns an api of another device, for the same server.
	reconnect() api

	beginStepUp() result[pendingCeremony]
	finishStepUp(challengeID string, response authenticator.AuthenticationResponse) rejection
	beginAddPasskey() result[pendingCeremony]
	finishAddPasskey(challengeID, name string, response authenticator.RegistrationResponse) rejection
	passkeys() result[[]shownPasskey]
	renamePasskey(id, name string) rejection
	removePasskey(id string) rejection
	sessions() result[[]shownSession]
	revokeSession(id string) rejection
	revokeOtherSessions() result[int]
	changeAccount(name, email string) result[shownUser]
	deleteAccount() rejection
	events() result[[]shownEvent]

	emailStatus() result[shownEmail]
	sendEmailCode() rejection
	confirmEmail(code string) rejection

	redeem(proof recoveryProof) result[string]
	beginRecovery(grant string) result[pendingCeremony]
	finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) result[shownUser]
	recoveryFactors() result[shownFactors]
	setUpTOTP() result[string]
	confirmTOTP(code string) rejection
	removeTOTP() rejection
	makeBackupCodes() result[[]string]

	// useBearerTokens makes the next sign-in open a session with tokens instead of a cookie.
	useBearerTokens()
	refresh(token string) result[tokenPair]
	tokenPair() tokenPair
	issueCode(returnTo, challenge, state string) result[string]
	redeemCode(code, verifier, returnTo string) result[tokenPair]
	setTokenPair(tokenPair)
}

// tokenPair is the tokens of an app client's session.
type tokenPair struct{ access, refresh string }

// pendingCeremony is a ceremony that has begun.
type pendingCeremony struct {
	challengeID string
	options     []byte
}

func (d *apiDevice) signUp(user profile, forgeries ...forgery) result[shownUser] {
	d.t.Helper()
	begun := d.api.beginSignUp(user)
	if !begun.ok() {
		return result[shownUser]{rejection: begun.rejection}
	}
	response, err := d.authenticator.Create(begun.value.options, variations(forgeries)...)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishSignUp(begun.value.challengeID, response)
}

func (d *apiDevice) signIn(email string, forgeries ...forgery) result[shownUser] {
	d.t.Helper()
	begun := d.api.beginSignIn(email)
	if !begun.ok() {
		return result[shownUser]{rejection: begun.rejection}
	}
	response, err := d.authenticator.Get(begun.value.options, variations(forgeries)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return result[shownUser]{rejection: rejection{code: "cancelled"}}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishSignIn(begun.value.challengeID, response)
}

func (d *apiDevice) signInDelayed(meanwhile func()) result[shownUser] {
	d.t.Helper()
	begun := d.mustBeginSignIn()
	response := d.getAssertion(begun)
	meanwhile()
	return d.api.finishSignIn(begun.challengeID, response)
}

func (d *apiDevice) whoAmI() result[shownUser] { return d.api.whoAmI() }
func (d *apiDevice) signOut() rejection        { return d.api.signOut() }

// The methods with must fail the test if the call is rejected.

func (d *apiDevice) mustBeginSignUp(user profile) pendingCeremony {
	d.t.Helper()
	return d.api.beginSignUp(user).must(d.t)
}

// mustBeginSignIn begins a sign-in without an address.
func (d *apiDevice) mustBeginSignIn() pendingCeremony {
	d.t.Helper()
	return d.mustBeginSignInByEmail("")
}

func (d *apiDevice) mustBeginSignInByEmail(email string) pendingCeremony {
	d.t.Helper()
	return d.api.beginSignIn(email).must(d.t)
}

func (d *apiDevice) mustBeginStepUp() pendingCeremony {
	d.t.Helper()
	return d.api.beginStepUp().must(d.t)
}

func (d *apiDevice) mustBeginAddPasskey() pendingCeremony {
	d.t.Helper()
	return d.api.beginAddPasskey().must(d.t)
}

// mustRedeem returns a recovery grant.
func (d *apiDevice) mustRedeem(proof recoveryProof) string {
	d.t.Helper()
	return d.api.redeem(proof).must(d.t)
}

func (d *apiDevice) mustBeginRecovery(grant string) pendingCeremony {
	d.t.Helper()
	return d.api.beginRecovery(grant).must(d.t)
}

func (d *apiDevice) mustRefresh(token string) tokenPair {
	d.t.Helper()
	return d.api.refresh(token).must(d.t)
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

// concurrently makes n calls at the same time and counts their error codes; "" counts the calls that succeeded. `make test` must run
// the test with the race detector; of a story, it runs one driver.
func concurrently[A attempt](t testing.TB, n int, call func(i int) A) map[string]int {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	requireSelected(t, "RACE_TESTS", name)
	codes := make([]string, n)
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			<-start
			codes[i] = call(i).outcome().code
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
