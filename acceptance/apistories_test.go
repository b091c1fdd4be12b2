package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// apiStories are what app clients and operators do.
// Cases of: TestStories
var apiStories = []story{
	{title: "The operator creates a user, who registers the first passkey", run: operatorCreatesAUser},
	// Requirement: ASVS-7.4.1
	{title: "An app client signs in, refreshes and signs out", run: appClientSignsIn},
	// Requirement: ASVS-7.3.1, RFC9700-4.14.2
	{title: "An app client's session expires by idle time and by age", run: appClientSessionExpires},
	{title: "A lost token response is requested again", run: tokenResponseIsLost},
	// Requirement: ASVS-7.4.1, RFC9700-4.14.2
	{title: "An access token ends with its session", run: anAccessTokenEndsWithItsSession},
	// Requirement: ASVS-7.4.2
	{title: "A disabled account's app client is signed out", run: disablingEndsAppClientSessions},
	{title: "A user returns to an application on another site, which gets tokens", run: anApplicationGetsTokens},
	{title: "An application requires a recent sign-in", run: anApplicationRequiresARecentSignIn, settings: requireRecentSignIn},
	{title: "An application's session counts against the limit of sessions", run: anApplicationCountsAgainstTheLimit, settings: twoSessionsAtMost},
	{title: "Tokens stay valid while signing keys rotate", run: keysAreRotated},
	// Requirement: ASVS-7.4.3
	{title: "A user revokes the current session", run: endsTheCurrentSession},
	{title: "A user reads the audit log page by page", run: pagesThroughTheLog},
	{title: "Expired data is deleted", run: expiredDataIsPurged},
	{title: "Recovery is switched off", run: recoveryIsOff, settings: switchRecoveryOff},
	{title: "The operator issues a recovery link", run: operatorIssuesARecoveryLink},
	{title: "E-mails wait while the mail server is unavailable", run: emailsWaitForTheMailServer, mail: true},
}

// appClient returns a user of an app client, whose session has tokens instead of a cookie.
func (e *env) appClient(name string) *person {
	e.t.Helper()
	p := e.person(name, phone)
	p.apiDevice().api.useBearerTokens()
	return p
}

// newAppUser returns a user of an app client who has signed up.
func (e *env) newAppUser(name string) *person {
	e.t.Helper()
	p := e.appClient(name)
	p.signsUp()
	return p
}

// refreshes exchanges the current refresh token.
func (p *person) refreshes() {
	p.t.Helper()
	device := p.apiDevice()
	device.api.setTokenPair(device.mustRefresh(device.api.tokenPair().refresh))
}

func (p *person) requireRefreshRejected(pair tokenPair, code string) {
	p.t.Helper()
	p.requireRejected(p.apiDevice().api.refresh(pair.refresh), code)
}

func appClientSignsIn(e *env) {
	ada := e.newAppUser("Ada")
	ada.requireSignedIn()
	ada.requirePasskeys("")
	ada.renamesPasskey(ada.addsPasskey("Blue key", securityKey), "Red key")
	e.advance(5*time.Minute + time.Second)
	ada.requireSignedOut("unauthenticated") // its access token has expired
	ada.refreshes()
	ada.requireSignedIn()
	ada.signsOut()
	ada.requireSignedOut("session_revoked")
	ada.requireRefreshRejected(ada.apiDevice().api.tokenPair(), "session_revoked")
}

func appClientSessionExpires(e *env) {
	ada := e.newAppUser("Ada")
	for range 5 {
		e.advance(5*day + 23*time.Hour)
		ada.refreshes()
		ada.requireSignedIn()
	}
	e.advance(5 * time.Hour)
	ada.requireRefreshRejected(ada.apiDevice().api.tokenPair(), "session_expired")

	ben := e.newAppUser("Ben")
	e.advance(7 * day)
	ben.requireRefreshRejected(ben.apiDevice().api.tokenPair(), "session_expired")
}

func tokenResponseIsLost(e *env) {
	ada := e.newAppUser("Ada")
	device := ada.apiDevice()
	old := device.api.tokenPair()
	lost := device.mustRefresh(old.refresh)
	e.advance(time.Hour)
	retried := device.mustRefresh(old.refresh)
	if retried.refresh != lost.refresh {
		e.t.Fatal("a refresh token has two different successors")
	}
	device.api.setTokenPair(retried)
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func anAccessTokenEndsWithItsSession(e *env) {
	ada := e.newAppUser("Ada")
	laptop := ada.onSecondDevice() // in a browser
	laptop.revokesSession(laptop.otherSession())
	ada.requireSignedOut("session_revoked")
	ada.requireRefreshRejected(ada.apiDevice().api.tokenPair(), "session_revoked")

	laptop.deletesAccount()
	ada.requireSignedOut("unauthenticated")
}

func disablingEndsAppClientSessions(e *env) {
	ada := e.appClient("Ada")
	ada.email = "ada@example.org"
	ada.signsUp()
	e.disables(ada)
	ada.requireSignedOut("session_revoked")
	ada.requireRefreshRejected(ada.apiDevice().api.tokenPair(), "session_revoked")
}

// keysAreRotated has one manual rotation. TestCluster_KeyRotationUnderTraffic has the scheduled ones.
func keysAreRotated(e *env) {
	ada := e.newAppUser("Ada")
	operator := e.driver.operator().SigningKeys
	if _, err := operator.Rotate(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	for range 35 { // nearly three hours, in which the new key replaces the old one
		ada.requireSignedIn()
		e.advance(4 * time.Minute)
		ada.requireSignedIn()
		ada.refreshes()
		ada.requireSignedIn()
	}
	keys, err := operator.List(e.t.Context())
	if err != nil || len(keys) == 0 || len(keys) > 3 {
		e.t.Fatalf("%d signing keys, want 1 to 3; error %v", len(keys), err)
	}
}

func endsTheCurrentSession(e *env) {
	ada := e.newUser("Ada", phone)
	api := ada.apiDevice().api
	token := api.sessionToken()
	ada.revokesSession(ada.listSessions()[0])
	api.setSessionToken(token)
	ada.requireSignedOut("session_revoked")
}

func pagesThroughTheLog(e *env) {
	ada := e.newUser("Ada", phone)
	for range 3 {
		e.advance(time.Hour)
		ada.stepsUp()
	}
	if events := ada.listEvents(); len(events) != 4 || events[3].kind != "signed_up" {
		e.t.Fatalf("the events are %+v", events)
	}
}

func expiredDataIsPurged(e *env) {
	ada := e.newUser("Ada", phone)
	device := ada.apiDevice()
	abandoned := device.mustBeginSignIn()
	e.advance(2 * time.Hour)
	fresh := device.mustBeginSignIn()
	e.driver.purgeExpired(e.t)
	ada.requireSignedIn()
	ada.requireRejected(device.api.finishSignIn(abandoned.challengeID, device.getAssertion(abandoned)), "challenge_not_found")
	ada.requireIdentity(device.api.finishSignIn(fresh.challengeID, device.getAssertion(fresh)))

	e.advance(7*day + 23*time.Hour)
	e.driver.purgeExpired(e.t)
	ada.requireSignedOut("session_expired")
	e.advance(time.Hour)
	e.driver.purgeExpired(e.t)
	ada.requireSignedOut("unauthenticated")
	ada.signsIn() // the device still sends the expired token
}

func switchRecoveryOff(c *config.Config) { c.Recovery = domain.RecoveryOff }

func recoveryIsOff(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	ada.requireRejected(ada.device.recoveryFactors(), "not_found")
	ada.requireRejected(ada.device.setUpTOTP(), "not_found")
	ada.requireRejected(ada.device.makeBackupCodes(), "not_found")
	ada.requireRecoveryRejected(withTOTP(ada.email, "123456"), "not_found")
}

func operatorIssuesARecoveryLink(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	recovered := e.onNewDevice(ada)
	device, grant := recovered.apiDevice(), e.issuesRecoveryGrant(ada)
	e.advance(14 * time.Minute)
	recovered.requireIdentity(device.registerWithGrant(grant))
	recovered.requireRejected(device.registerWithGrant(grant), "invalid_code")
	recovered.requireRejected(device.deleteAccount(), "step_up_required")
	ada.requireSignedOut("session_revoked")

	grant = e.issuesRecoveryGrant(ada)
	e.advance(15 * time.Minute)
	recovered.requireRejected(device.registerWithGrant(grant), "invalid_code")
}

func emailsWaitForTheMailServer(e *env) {
	e.mailServer.Stop()
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUpWithEmail("ada@example.org")
	ben.signsUpWithEmail("ben@example.org")
	for range 3 {
		e.driver.runJobs(e.t)
		e.advance(2 * time.Minute)
	}
	e.mailServer.Resume()
	// The fourth retry is due after 4 minutes. After 5, an e-mail that the server is just sending would be due again.
	e.advance(4 * time.Minute)
	ada.confirmsEmail(e.codeIn(e.lastEmail("ada@example.org", 1)))
	e.lastEmail("ben@example.org", 1) // before the next ones are rejected

	// An e-mail that is not accepted does not delay the others.
	e.mailServer.SetReply("RCPT", "ben@example.org", "450 4.2.1 come back later")
	ben.requestsEmailCode()
	ada.stepsUp()
	ada.makesBackupCodes()
	e.lastEmail("ada@example.org", 2)
	e.lastEmail("ben@example.org", 1)
	e.mailServer.SetReply("RCPT", "ben@example.org", "")
	e.advance(time.Minute)
	ben.confirmsEmail(e.codeIn(e.lastEmail("ben@example.org", 2)))
}
