package acceptance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// story is a scenario on a server of its own.
type story struct {
	title    string
	play     func(e *env)
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
	cannotRegress  = "the virtual authenticator chooses its credential ids"
	cookieOnly     = "the page uses a cookie, not tokens"
	ownIDsOnly     = "the page knows only the ids of its own account"
	cannotSwap     = "a removed virtual authenticator cannot be added again"
	noAutofill     = "only a browser has suggestions; the server receives a sign-in without an e-mail address"
)

// stories lists every story, with the drivers that cannot run it.
var stories = []story{
	{title: "A user signs up, signs out, and signs in without an e-mail address", play: comesBackWithoutAName},
	{title: "A user signs up without a name or an e-mail address", play: signsUpWithoutAName},
	{title: "A user signs in by e-mail address in upper or lower case", play: signsInByEmail},
	{title: "A user signs in with a security key", play: comesBackWithASecurityKey},
	{title: "A user picks a passkey from the browser's suggestions", play: picksFromSuggestions, skip: exceptions{useCases: noAutofill, overHTTP: noAutofill}},
	{title: "Two users on two devices have separate sessions", play: twoPeopleOnTwoDevices},
	{title: "Two users on one device have separate accounts", play: twoPeopleShareADevice},
	{title: "A user responds with another account's passkey", play: otherAccountsPasskeyIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A user corrects an invalid e-mail address", play: mistypesTheAddress},
	{title: "An e-mail address belongs to one account", play: emailIsTaken},
	{title: "An address without an account gets the same response as one with an account", play: unknownEmailIsIndistinguishable, skip: exceptions{browser: "the page does not show the responses"}},
	{title: "A user dismisses the prompt and tries again", play: dismissesThePrompt},
	{title: "A user without a registered passkey cannot sign in", play: hasNoPasskey},
	{title: "Sign-up is closed", play: signUpIsClosed, settings: func(c *config.Config) { c.Registration = domain.RegistrationClosed }},

	{title: "A response is replayed", play: aResponseIsReplayed, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen copies of one response arrive at once", play: sixteenResponsesAtOnce, skip: exceptions{browser: respondsOnce}},
	{title: "A rejected response consumes its challenge", play: failedResponseConsumesItsChallenge, skip: exceptions{browser: respondsOnce}},
	{title: "A challenge expires", play: aChallengeExpires},
	{title: "Expired data is deleted", play: expiredDataIsPurged, skip: exceptions{browser: respondsOnce}},
	{title: "A challenge is answered from another browser", play: answeredFromAnotherBrowser, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A challenge for a sign-up is used for a sign-in", play: aChallengeForAnotherPurpose, skip: exceptions{browser: respondsOnce}},

	{title: "A response is for another origin", play: otherOriginIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response comes from a frame in another site's page", play: crossOriginFrameIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response is for another RP ID", play: otherRPIDIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response has the wrong type", play: wrongTypeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response is for another challenge", play: otherChallengeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response has a duplicate member", play: duplicateMemberIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A response has the backup state without backup eligibility", play: impossibleBackupStateIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A signature is invalid", play: badSignatureIsRejected},
	{title: "A response lacks user verification", play: userVerificationIsRequired},
	{title: "A response lacks user presence", play: userPresenceIsRequired},
	{title: "Another user's credential id is registered again", play: credentialIDIsRegisteredOnce, skip: exceptions{browser: cannotRegress}},
	{title: "A lower signature counter is rejected", play: aCounterGoesBack},
	{title: "A lower signature counter is flagged by policy", play: aCounterGoesBackFlagged, settings: func(c *config.Config) { c.Use.Counter = domain.CounterFlag }},
	{title: "A lower signature counter suspends the passkey by policy", play: aCounterGoesBackSuspended, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }},
	{title: "A synced passkey's signature counter is ignored", play: aSyncedCounterGoesBack},
	{title: "A changed backup eligibility is rejected", play: backupEligibilityChanges},
	{title: "A changed backup eligibility is accepted by policy", play: backupEligibilityChangesAccepted, settings: func(c *config.Config) { c.Use.BackupEligibility = domain.BackupEligibilityAcceptAndRecord }},

	{title: "A denied authenticator cannot register a passkey in any ceremony", play: deniedAuthenticatorIsRejected, settings: denyModel, skip: exceptions{browser: cannotForge}},

	{title: "A session expires after its idle time", play: aSessionEndsIdle},
	{title: "A session in use expires at its maximum age", play: aSessionEndsAtItsMaxAge},
	{title: "A sign-in revokes the browser's previous session", play: signingInReplacesTheSession, skip: exceptions{browser: "the page does not show session tokens"}},

	{title: "A user adds a passkey and signs in with it", play: addsAPasskey},
	{title: "A user renames a passkey", play: renamesAPasskey},
	{title: "A user removes a passkey and its sessions are revoked", play: deletesAPasskey},
	{title: "The last passkey cannot be removed", play: cannotRemoveTheLastPasskey},
	{title: "An authenticator has one passkey for an account", play: onePasskeyPerAuthenticator},
	{title: "An account reaches its passkey limit", play: reachesThePasskeyLimit, settings: twoPasskeysAtMost},
	{title: "Sixteen requests remove the last two passkeys at once", play: lastPasskeysAreDeletedConcurrently, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen requests add the last allowed passkey at once", play: passkeyLimitIsReachedConcurrently, settings: twoPasskeysAtMost, skip: exceptions{browser: respondsOnce}},
	{title: "A passkey is added in the session that requested it", play: addedPasskeyIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A user sees and removes a suspended passkey", play: deletesASuspendedPasskey, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }, skip: exceptions{browser: cannotSwap}},

	{title: "Sensitive actions require a step-up", play: stepsUpForSensitiveActions},
	{title: "A step-up rotates the session token and the old token is rejected", play: stepUpRotatesTheToken, skip: exceptions{browser: "the page does not show session tokens"}},
	{title: "A step-up is bound to its session and purpose", play: stepUpIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},

	{title: "A user lists the sessions and revokes one", play: seesTheirDevices},
	{title: "A user signs out everywhere else", play: signsOutEverywhereElse},
	{title: "A user revokes the current session", play: endsTheCurrentSession, skip: exceptions{browser: "the page offers to sign out instead"}},
	{title: "An idle session is not listed", play: idleSessionLeavesTheList},

	{title: "A user changes the name and the e-mail address", play: changesNameAndEmail},
	{title: "A user deletes the account", play: deletesTheAccount},
	{title: "A user reads rejected attempts in the audit log", play: readsRejectedAttempts},
	{title: "A user reads the audit log page by page", play: pagesThroughTheLog, skip: exceptions{browser: "the page loads more events at once; TestPage_PagesThroughSecurityLog reads a whole log"}},
	{title: "The operator disables an account and enables it again", play: operatorDisablesAnAccount},
	{title: "A user cannot access another account", play: cannotReachAnotherAccount, skip: exceptions{browser: ownIDsOnly}},

	{title: "An app client signs in, refreshes and signs out", play: appClientSignsIn, skip: exceptions{browser: cookieOnly}},
	{title: "An app client's session expires by idle time and by age", play: appClientSessionExpires, skip: exceptions{browser: cookieOnly}},
	{title: "A lost token response is requested again", play: tokenResponseIsLost, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token is stolen", play: aRefreshTokenIsStolen, skip: exceptions{browser: cookieOnly}},
	{title: "An old refresh token is reused", play: oldRefreshTokenIsReused, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token is forged", play: aRefreshTokenIsInvented, skip: exceptions{browser: cookieOnly}},
	{title: "Sixteen requests refresh one token at once", play: sixteenRefreshesAtOnce, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh is not a step-up", play: aRefreshIsNoStepUp, skip: exceptions{browser: cookieOnly}},
	{title: "An access token ends with its session", play: anAccessTokenEndsWithItsSession, skip: exceptions{browser: cookieOnly}},
	{title: "A disabled account's app client is signed out", play: disablingEndsAppClientSessions, skip: exceptions{browser: cookieOnly}},
	{title: "A user recovers the account with a backup code", play: comesBackWithABackupCode},
	{title: "A user recovers the account with the authenticator app", play: comesBackWithTheApp},
	{title: "A recovery that requires both factors rejects a single one", play: bothFactorsAreRequired, settings: requireBothFactors},
	{title: "A user enters codes with other digits and separators", play: typesCodesOnAnotherKeyboard},
	{title: "Recovery is switched off", play: recoveryIsOff, settings: func(c *config.Config) { c.Recovery = domain.RecoveryOff }, skip: exceptions{browser: "the page does not offer recovery then"}},
	{title: "A recovery is not a step-up", play: recoveryIsNoStepUp},
	{title: "A recovery grant registers one passkey and is not a session", play: grantRegistersOnePasskey, skip: exceptions{browser: respondsOnce}},
	{title: "A recovery grant expires and its code stays unused", play: aGrantExpires, skip: exceptions{browser: respondsOnce}},
	{title: "A recovery grant is bound to its account and purpose", play: grantIsBoundToItsOwner, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A recovery grant ends with its factor", play: grantEndsWithItsFactor, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen recoveries at once", play: sixteenRecoveriesAtOnce, skip: exceptions{browser: respondsOnce}},
	{title: "An attacker who guesses codes must wait and the owner signs in", play: guessesUntilBackoff, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	{title: "Recovery is locked by guesses until a passkey sign-in", play: guessesUntilRecoveryLocked, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	{title: "Wrong backup codes count against the client IP", play: wrongBackupCodesCountAgainstTheIP},
	{title: "A user replaces and removes recovery factors", play: changesTheFactors},
	{title: "The operator issues a recovery link", play: operatorIssuesARecovery, skip: exceptions{browser: "TestPage_OperatorRecoveryLink opens the link"}},

	{title: "A user confirms an e-mail address with an emailed code", play: confirmsTheirEmail, mail: true},
	{title: "A taken e-mail address is not taken over and its owner is notified", play: signsUpWithATakenEmail, mail: true},
	{title: "A user changes the e-mail address and the former one is notified", play: changesEmailAndNotifiesTheFormer, mail: true},
	{title: "An attacker who guesses an e-mail code does not get the address", play: guessesAnEmailCode, mail: true},
	{title: "Unconfirmed e-mails to one mailbox are limited", play: verificationEmailsAreLimited, mail: true, skip: exceptions{browser: "the page sends the same requests as other clients"}},
	{title: "A user is notified by e-mail of changes to the ways of signing in", play: isNotifiedByEmail, mail: true},
	{title: "E-mails wait while the mail server is unavailable", play: emailsWaitForTheMailServer, mail: true, skip: exceptions{browser: "the page is not involved"}},

	{title: "Tokens stay valid while signing keys rotate", play: keysAreRotated, skip: exceptions{browser: cookieOnly}},
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
		s.play(e)
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
		"Each story runs through every driver that can run it: the use cases directly (on SQLite and PostgreSQL), HTTP on a\n" +
		"real listener (on SQLite and PostgreSQL), and Chromium with a virtual authenticator on Keylodge's own page (on SQLite).\n" +
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
