package acceptance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// story is a scenario on a server of its own.
type story struct {
	title    string
	run      func(e *env)
	skip     exceptions
	settings func(*config.Config) // nil for the default settings
	mail     bool                 // whether the server sends e-mail
}

// exceptions has the reasons why drivers cannot run a story, by driver. A driver that is not named runs it.
type exceptions map[string]string

const (
	useCases = "use cases"
	overHTTP = "HTTP"
	browser  = "browser"
)

// Reasons why the browser driver skips stories.
const (
	cannotForge    = "a browser cannot forge what it signs"
	respondsOnce   = "the page responds to each challenge once and at once"
	oneBrowserOnly = "the page cannot pass its challenge to another browser"
	choosesItsIDs  = "the virtual authenticator chooses its credential ids"
	cookieOnly     = "the page uses a cookie, not tokens"
	ownIDsOnly     = "the page knows only the ids of its own account"
	cannotSwap     = "a removed virtual authenticator cannot be added again"
	noAutofill     = "only a browser has suggestions; the server receives a sign-in without an e-mail address"
)

// stories lists every story, with the drivers that cannot run it.
// Cases of: TestStories
var stories = []story{
	// Requirement: NIST-2.2.2
	{title: "A user signs up, signs out, and signs in without an e-mail address", run: signsInWithoutEmail},
	{title: "A user signs up without a name or an e-mail address", run: signsUpWithoutNameOrEmail},
	{title: "A user signs in by e-mail address in upper or lower case", run: signsInByEmail},
	{title: "A user signs in with a security key", run: signsInWithASecurityKey},
	{title: "A user picks a passkey from the browser's suggestions", run: picksFromSuggestions, skip: exceptions{useCases: noAutofill, overHTTP: noAutofill}},
	{title: "Two users on two devices have separate sessions", run: twoUsersOnTwoDevices},
	{title: "Two users on one device have separate accounts", run: twoUsersShareADevice},
	// Requirement: WebAuthn-7.2-5
	{title: "A user responds with another account's passkey", run: otherAccountsPasskeyIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A user corrects an invalid e-mail address", run: correctsAnInvalidEmail},
	{title: "An e-mail address belongs to one account", run: emailIsTaken},
	// Requirement: WebAuthn-14.6.2
	{title: "An address without an account gets the same response as one with an account", run: unknownEmailIsIndistinguishable, skip: exceptions{browser: "the page does not show the responses"}},
	{title: "A user dismisses the prompt and tries again", run: dismissesThePrompt},
	{title: "A user without a registered passkey cannot sign in", run: hasNoPasskey},
	{title: "Sign-up is closed", run: signUpIsClosed, settings: func(c *config.Config) { c.Registration = domain.RegistrationClosed }},

	// Requirement: WebAuthn-7.1-8
	{title: "A response is replayed", run: aResponseIsReplayed, skip: exceptions{browser: respondsOnce}},
	// Requirement: WebAuthn-7.1-8
	{title: "Sixteen copies of one response arrive at once", run: sixteenResponsesAtOnce, skip: exceptions{browser: respondsOnce}},
	// Requirement: WebAuthn-7.1-8
	{title: "A rejected response consumes its challenge", run: rejectedResponseConsumesItsChallenge, skip: exceptions{browser: respondsOnce}},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge expires", run: aChallengeExpires},
	{title: "Expired data is deleted", run: expiredDataIsPurged, skip: exceptions{browser: respondsOnce}},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge is answered from another browser", run: answeredFromAnotherBrowser, skip: exceptions{browser: oneBrowserOnly}},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge for a sign-up is used for a sign-in", run: aChallengeForAnotherPurpose, skip: exceptions{browser: respondsOnce}},

	// Requirement: WebAuthn-7.1-9, ASVS-6.3.3
	{title: "A response is for another origin", run: otherOriginIsRejected, skip: exceptions{browser: cannotForge}},
	// Requirement: WebAuthn-7.1-10
	{title: "A response comes from a frame in another site's page", run: crossOriginFrameIsRejected, skip: exceptions{browser: cannotForge}},
	// Requirement: WebAuthn-7.1-14
	{title: "A response is for another RP ID", run: otherRPIDIsRejected, skip: exceptions{browser: cannotForge}},
	// Requirement: WebAuthn-7.1-7
	{title: "A response has the wrong type", run: wrongTypeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response is for another challenge", run: otherChallengeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response has a duplicate member", run: duplicateMemberIsRejected, skip: exceptions{browser: cannotForge}},
	// Requirement: WebAuthn-7.1-17
	{title: "A response has the backup state without backup eligibility", run: impossibleBackupStateIsRejected, skip: exceptions{browser: cannotForge}},
	// Requirement: WebAuthn-7.2-21
	{title: "A signature is invalid", run: badSignatureIsRejected},
	// Requirement: WebAuthn-7.1-16
	{title: "A response lacks user verification", run: userVerificationIsRequired},
	// Requirement: WebAuthn-7.1-15, ASVS-6.3.3
	{title: "A response lacks user presence", run: userPresenceIsRequired},
	// Requirement: WebAuthn-7.1-26
	{title: "Another user's credential id is registered again", run: credentialIDIsRegisteredOnce, skip: exceptions{browser: choosesItsIDs}},
	// Requirement: WebAuthn-7.2-22
	{title: "A lower signature counter is rejected", run: lowerCounterIsRejected},
	{title: "A lower signature counter is flagged by policy", run: lowerCounterIsFlagged, settings: func(c *config.Config) { c.Use.Counter = domain.CounterFlag }},
	{title: "A lower signature counter suspends the passkey by policy", run: lowerCounterSuspends, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }},
	{title: "A synced passkey's signature counter is ignored", run: syncedCounterIsIgnored},
	// Requirement: WebAuthn-7.2-19
	{title: "A changed backup eligibility is rejected", run: changedBackupEligibilityIsRejected},
	{title: "A changed backup eligibility is accepted by policy", run: changedBackupEligibilityIsAccepted, settings: func(c *config.Config) { c.Use.BackupEligibility = domain.BackupEligibilityAcceptAndRecord }},

	{title: "A denied authenticator cannot register a passkey in any ceremony", run: deniedAuthenticatorIsRejected, settings: denyModel, skip: exceptions{browser: cannotForge}},

	// Requirement: ASVS-7.3.1
	{title: "A session expires after its idle time", run: aSessionEndsIdle},
	// Requirement: ASVS-7.3.1
	{title: "A session in use expires at its maximum age", run: aSessionEndsAtItsMaxAge},
	// Requirement: ASVS-7.2.4
	{title: "A sign-in revokes the browser's previous session", run: signingInReplacesTheSession, skip: exceptions{browser: "the page does not show session tokens"}},

	{title: "A user adds a passkey and signs in with it", run: addsAPasskey},
	{title: "A user renames a passkey", run: renamesAPasskey},
	// Requirement: ASVS-6.5.6
	{title: "A user removes a passkey and its sessions are revoked", run: removesAPasskey},
	// Requirement: WebAuthn-13.4.6
	{title: "The last passkey cannot be removed", run: cannotRemoveTheLastPasskey},
	{title: "An authenticator has one passkey for an account", run: onePasskeyPerAuthenticator},
	{title: "An account reaches its passkey limit", run: reachesThePasskeyLimit, settings: twoPasskeysAtMost},
	// Requirement: WebAuthn-13.4.6
	{title: "Sixteen requests remove the last two passkeys at once", run: lastPasskeysAreRemovedConcurrently, skip: exceptions{browser: respondsOnce}},
	// Requirement: ASVS-2.3.3
	{title: "Sixteen requests add the last allowed passkey at once", run: passkeyLimitIsReachedConcurrently, settings: twoPasskeysAtMost, skip: exceptions{browser: respondsOnce}},
	{title: "A passkey is added in the session that requested it", run: addedPasskeyIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A user sees and removes a suspended passkey", run: removesASuspendedPasskey, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }, skip: exceptions{browser: cannotSwap}},

	// Requirement: ASVS-7.5.1
	{title: "Sensitive actions require a step-up", run: stepsUpForSensitiveActions},
	// Requirement: ASVS-7.2.4
	{title: "A step-up rotates the session token and the old token is rejected", run: stepUpRotatesTheToken, skip: exceptions{browser: "the page does not show session tokens"}},
	{title: "A step-up is bound to its session and purpose", run: stepUpIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},

	// Requirement: ASVS-7.4.3
	{title: "A user lists the sessions and revokes one", run: seesTheirDevices},
	// Requirement: ASVS-7.4.3
	{title: "A user signs out everywhere else", run: signsOutEverywhereElse},
	// Requirement: ASVS-7.4.3
	{title: "A user revokes the current session", run: endsTheCurrentSession, skip: exceptions{browser: "the page offers to sign out instead"}},
	{title: "An idle session is not listed", run: idleSessionLeavesTheList},

	{title: "A user changes the name and the e-mail address", run: changesNameAndEmail},
	// Requirement: ASVS-7.4.2
	{title: "A user deletes the account", run: deletesTheAccount},
	// Requirement: ASVS-6.3.5
	{title: "A user reads rejected attempts in the audit log", run: readsRejectedAttempts},
	{title: "A user reads the audit log page by page", run: pagesThroughTheLog, skip: exceptions{browser: "the page loads more events at once; TestPage_PagesThroughSecurityLog reads a whole log"}},
	// Requirement: ASVS-7.4.2
	{title: "The operator disables an account and enables it again", run: operatorDisablesAnAccount},
	// Requirement: ASVS-8.2.1
	{title: "A user cannot access another account", run: cannotReachAnotherAccount, skip: exceptions{browser: ownIDsOnly}},

	// Requirement: ASVS-7.4.1
	{title: "An app client signs in, refreshes and signs out", run: appClientSignsIn, skip: exceptions{browser: cookieOnly}},
	// Requirement: ASVS-7.3.1, RFC9700-4.14.2
	{title: "An app client's session expires by idle time and by age", run: appClientSessionExpires, skip: exceptions{browser: cookieOnly}},
	{title: "A lost token response is requested again", run: tokenResponseIsLost, skip: exceptions{browser: cookieOnly}},
	// Requirement: RFC9700-4.14.2
	{title: "A refresh token is stolen", run: aRefreshTokenIsStolen, skip: exceptions{browser: cookieOnly}},
	// Requirement: RFC9700-4.14.2
	{title: "An old refresh token is reused", run: oldRefreshTokenIsReused, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token is forged", run: aRefreshTokenIsForged, skip: exceptions{browser: cookieOnly}},
	// Requirement: RFC9700-4.14.2
	{title: "Sixteen requests refresh one token at once", run: sixteenRefreshesAtOnce, skip: exceptions{browser: cookieOnly}},
	// Requirement: ASVS-6.3.4
	{title: "A refresh is not a step-up", run: aRefreshIsNoStepUp, skip: exceptions{browser: cookieOnly}},
	// Requirement: ASVS-7.4.1, RFC9700-4.14.2
	{title: "An access token ends with its session", run: anAccessTokenEndsWithItsSession, skip: exceptions{browser: cookieOnly}},
	// Requirement: ASVS-7.4.2
	{title: "A disabled account's app client is signed out", run: disablingEndsAppClientSessions, skip: exceptions{browser: cookieOnly}},
	// Requirement: WebAuthn-13.4.6, ASVS-6.5.1, NIST-4.2.1.1
	{title: "A user recovers the account with a backup code", run: recoversWithABackupCode},
	// Requirement: ASVS-6.4.3
	{title: "A user recovers the account with the authenticator app", run: recoversWithTheApp},
	// Requirement: ASVS-6.4.3, NIST-4.2.2.2
	{title: "A recovery that requires both factors rejects a single one", run: bothFactorsAreRequired, settings: requireBothFactors},
	{title: "A user enters codes with other digits and separators", run: entersCodesInOtherScripts},
	{title: "Recovery is switched off", run: recoveryIsOff, settings: func(c *config.Config) { c.Recovery = domain.RecoveryOff }, skip: exceptions{browser: "the page does not offer recovery then"}},
	// Requirement: ASVS-6.3.4, ASVS-6.4.3
	{title: "A recovery is not a step-up", run: recoveryIsNoStepUp},
	// Requirement: ASVS-6.3.4
	{title: "A recovery grant registers one passkey and is not a session", run: grantRegistersOnePasskey, skip: exceptions{browser: respondsOnce}},
	{title: "A recovery grant expires and its code stays unused", run: aGrantExpires, skip: exceptions{browser: respondsOnce}},
	{title: "A recovery grant is bound to its account and purpose", run: grantIsBoundToItsOwner, skip: exceptions{browser: oneBrowserOnly}},
	// Requirement: ASVS-6.5.6
	{title: "A recovery grant ends with its factor", run: grantEndsWithItsFactor, skip: exceptions{browser: respondsOnce}},
	// Requirement: ASVS-6.5.1, ASVS-2.3.3, NIST-3.1.4
	{title: "Sixteen recoveries at once", run: sixteenRecoveriesAtOnce, skip: exceptions{browser: respondsOnce}},
	// Requirement: ASVS-6.3.1
	{title: "An attacker who guesses codes must wait and the owner signs in", run: guessesUntilBackoff, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	// Requirement: NIST-3.2.2
	{title: "Recovery is locked by guesses until a passkey sign-in", run: guessesUntilRecoveryLocked, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	// Requirement: ASVS-6.3.1, NIST-4.2.1.1
	{title: "Wrong backup codes count against the client IP", run: wrongBackupCodesCountAgainstTheIP},
	// Requirement: ASVS-6.5.6
	{title: "A user replaces and removes recovery factors", run: changesTheFactors},
	{title: "The operator issues a recovery link", run: operatorIssuesARecoveryLink, skip: exceptions{browser: "TestPage_OperatorRecoveryLink opens the link"}},

	{title: "A user confirms an e-mail address with an emailed code", run: confirmsTheirEmail, mail: true},
	{title: "A taken e-mail address is not taken over and its owner is notified", run: signsUpWithATakenEmail, mail: true},
	{title: "A user changes the e-mail address and the former one is notified", run: changesEmailAndNotifiesTheFormer, mail: true},
	{title: "An attacker who guesses an e-mail code does not get the address", run: guessesAnEmailCode, mail: true},
	// Requirement: ASVS-6.3.1
	{title: "Unconfirmed e-mails to one mailbox are limited", run: verificationEmailsAreLimited, mail: true, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	// Requirement: ASVS-6.3.5, NIST-4.6
	{title: "A user is notified by e-mail of changes to the ways of signing in", run: isNotifiedByEmail, mail: true},
	{title: "E-mails wait while the mail server is unavailable", run: emailsWaitForTheMailServer, mail: true, skip: exceptions{browser: "the page is not involved"}},

	{title: "Tokens stay valid while signing keys rotate", run: keysAreRotated, skip: exceptions{browser: cookieOnly}},
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		t.Run(strings.ReplaceAll(s.title, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s.runOn(t, useCases, "SQLite in memory, with retries", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), sqlitestore.Retrying{Store: sqlitestore.New(t)}, c)
			})
			s.runOn(t, useCases, "SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), sqliteStore(t), c)
			})
			s.runOn(t, useCases, "PostgreSQL", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), postgresStore(t), c)
			})
			s.runOn(t, overHTTP, "SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return httpDriver{startServer(t, c, configure)}
			})
			s.runOn(t, overHTTP, "PostgreSQL", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return httpDriver{startServer(t, c, onPostgres(t, configure))}
			})
			s.runOn(t, browser, "SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				requireChromium(t)
				return browserDriver{startServer(t, c, configure)}
			})
		})
	}
}

func (s story) runOn(t *testing.T, name, store string, open func(*testing.T, *clock, func(*config.Config)) protocolDriver) {
	if _, excepted := s.skip[name]; excepted {
		return
	}
	t.Run(name+" on "+store, func(t *testing.T) {
		e := &env{t: t, clock: newClock()}
		if s.mail {
			e.mailServer = mailserver.Start(t, mailserver.Options{})
		}
		e.driver = open(t, e.clock, func(c *config.Config) {
			if s.settings != nil {
				s.settings(c)
			}
			if s.mail {
				c.SMTP = smtpConfig(t, e.mailServer, c.PublicURL)
			}
		})
		s.run(e)
	})
}

var _ ports.Clock = (*clock)(nil)

var update = flag.Bool("update", false, "write the generated documents")

const storiesFile = "../docs/stories.md"

// TestStories_document checks that docs/stories.md matches the table of stories.
func TestStories_document(t *testing.T) {
	want := describeStories()
	if *update {
		if err := os.WriteFile(storiesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(storiesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not match the table of stories: run `make generate`", storiesFile)
	}
	for _, s := range stories {
		for name := range s.skip {
			if name != useCases && name != overHTTP && name != browser {
				t.Errorf("the story %q skips an unknown driver: %q", s.title, name)
			}
		}
	}
}

func describeStories() string {
	var b strings.Builder
	b.WriteString("# The stories\n\n" +
		"Each story runs through every driver that can run it: the use cases directly (on SQLite and\n" +
		"PostgreSQL), HTTP on a real listener (on SQLite and PostgreSQL), and Chromium with a virtual\n" +
		"authenticator on Keylodge's own page (on SQLite).\n" +
		"`make generate` writes this page from the table in `acceptance/stories_test.go`.\n\n" +
		"| story | use cases | HTTP | browser | reason for a skipped driver |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range stories {
		var cells, reasons []string
		for _, name := range []string{useCases, overHTTP, browser} {
			reason, excepted := s.skip[name]
			if !excepted {
				cells = append(cells, "✓")
				continue
			}
			cells = append(cells, "—")
			if len(reasons) == 0 || reasons[len(reasons)-1] != reason {
				reasons = append(reasons, reason)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.title, strings.Join(cells, " | "), strings.Join(reasons, "; "))
	}
	return b.String()
}
