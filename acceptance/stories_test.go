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

// story is what happens to some people at a server of their own.
type story struct {
	title    string
	play     func(e *env)
	skip     exceptions
	settings func(*config.Config) // nil for the usual ones
	mail     bool                 // whether the server sends any
}

// exceptions say why a door cannot play a story. A door that is not named plays it.
type exceptions map[string]string

const (
	useCases = "use cases"
	overHTTP = "HTTP"
	browser  = "browser"
)

// Why a browser does not play some of the stories.
const (
	cannotForge    = "a browser writes the truth into what it signs"
	respondsOnce   = "the page answers each challenge once, and at once"
	oneBrowserOnly = "the page never hands its challenge to another browser"
	cannotRegress  = "the browser's authenticator has one id for one key"
	cookieOnly     = "a page is no program: it has a cookie"
	ownIDsOnly     = "the page knows its own person's ids only"
	cannotSwap     = "a virtual authenticator that was taken away does not come back"
	noAutofill     = "suggestions are the browser's; to the server they are a sign-in without a name"
)

// stories is the matrix: every story, and every door that cannot play it.
var stories = []story{
	{title: "A person signs up, signs out, and comes back without giving a name", play: comesBackWithoutAName},
	{title: "A person signs up without saying anything about themselves", play: signsUpWithoutAName},
	{title: "A person signs in by e-mail, however they write the address", play: signsInByEmail},
	{title: "A person with a security key comes back", play: comesBackWithASecurityKey},
	{title: "A person picks their passkey from the browser's suggestions", play: picksFromSuggestions, skip: exceptions{useCases: noAutofill, overHTTP: noAutofill}},
	{title: "Two people on two devices never see each other", play: twoPeopleOnTwoDevices},
	{title: "Two people on one device stay apart", play: twoPeopleShareADevice},
	{title: "A person answers with a passkey that is not the account's", play: otherAccountsPasskeyIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A person mistypes their address and corrects it", play: mistypesTheAddress},
	{title: "An e-mail address belongs to one account", play: emailIsTaken},
	{title: "An address without an account is answered like one with", play: unknownEmailIsIndistinguishable, skip: exceptions{browser: "what tells the two apart would be in the answer, which the page does not show"}},
	{title: "A person dismisses the prompt and tries again", play: dismissesThePrompt},
	{title: "A person with no passkey here cannot sign in", play: hasNoPasskey},
	{title: "Sign-up is closed", play: signUpIsClosed, settings: func(c *config.Config) { c.Registration = domain.RegistrationClosed }},

	{title: "An answer is replayed", play: aResponseIsReplayed, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen copies of one answer arrive at once", play: sixteenResponsesAtOnce, skip: exceptions{browser: respondsOnce}},
	{title: "A failed answer spends its challenge", play: failedResponseConsumesItsChallenge, skip: exceptions{browser: respondsOnce}},
	{title: "A challenge expires", play: aChallengeExpires},
	{title: "What has expired is swept away", play: expiredDataIsPurged, skip: exceptions{browser: respondsOnce}},
	{title: "A challenge is answered from another browser", play: answeredFromAnotherBrowser, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A sign-up's challenge is used to sign in", play: aChallengeForAnotherPurpose, skip: exceptions{browser: respondsOnce}},

	{title: "An answer was made for another origin", play: otherOriginIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer was made inside another site's frame", play: crossOriginFrameIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer was made for another RP id", play: otherRPIDIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer is of the wrong type", play: wrongTypeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer is for another challenge", play: otherChallengeIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer says two things at once", play: duplicateMemberIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "An answer claims a backup that cannot be", play: impossibleBackupStateIsRejected, skip: exceptions{browser: cannotForge}},
	{title: "A signature is bad", play: badSignatureIsRejected},
	{title: "The device did not check who it was", play: userVerificationIsRequired},
	{title: "Nobody touched the device", play: userPresenceIsRequired},
	{title: "Somebody else's credential id is registered again", play: credentialIDIsRegisteredOnce, skip: exceptions{browser: cannotRegress}},
	{title: "A counter goes back", play: aCounterGoesBack},
	{title: "A counter goes back where that is only noted", play: aCounterGoesBackFlagged, settings: func(c *config.Config) { c.Use.Counter = domain.CounterFlag }},
	{title: "A counter goes back where that suspends the passkey", play: aCounterGoesBackSuspended, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }},
	{title: "A synced passkey's counter means nothing", play: aSyncedCounterGoesBack},
	{title: "A passkey's backup eligibility changes", play: backupEligibilityChanges},
	{title: "A passkey's backup eligibility changes where that is accepted", play: backupEligibilityChangesAccepted, settings: func(c *config.Config) { c.Use.BackupEligibility = domain.BackupEligibilityAcceptAndRecord }},

	{title: "An authenticator that is not taken makes no passkey, whichever way", play: deniedAuthenticatorIsRejected, settings: denyModel, skip: exceptions{browser: cannotForge}},

	{title: "A session ends after its idle time", play: aSessionEndsIdle},
	{title: "A session in use ends at its age", play: aSessionEndsAtItsMaxAge},
	{title: "Signing in again ends the session before", play: signingInReplacesTheSession, skip: exceptions{browser: "the page does not show a session's token"}},

	{title: "A person adds a passkey and signs in with it", play: addsAPasskey},
	{title: "A person renames a passkey", play: renamesAPasskey},
	{title: "A person deletes a passkey, and nobody stays signed in by it", play: deletesAPasskey},
	{title: "The last passkey stays", play: cannotRemoveTheLastPasskey},
	{title: "An authenticator holds one passkey of an account", play: onePasskeyPerAuthenticator},
	{title: "An account has only so many passkeys", play: reachesThePasskeyLimit, settings: twoPasskeysAtMost},
	{title: "The last two passkeys are deleted sixteen times at once", play: lastPasskeysAreDeletedConcurrently, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen passkeys want the last place at once", play: passkeyLimitIsReachedConcurrently, settings: twoPasskeysAtMost, skip: exceptions{browser: respondsOnce}},
	{title: "A passkey is added in the session that asked for it", play: addedPasskeyIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A suspended passkey's owner sees and deletes it", play: deletesASuspendedPasskey, settings: func(c *config.Config) { c.Use.Counter = domain.CounterSuspend }, skip: exceptions{browser: cannotSwap}},

	{title: "What is sensitive asks for a step-up", play: stepsUpForSensitiveActions},
	{title: "A step-up renews the session, and a copy of its token opens nothing", play: stepUpRotatesTheToken, skip: exceptions{browser: "the page does not show a session's token"}},
	{title: "A step-up is nobody else's, and for nothing else", play: stepUpIsBoundToItsSession, skip: exceptions{browser: oneBrowserOnly}},

	{title: "A person sees where they are signed in, and ends one of it", play: seesTheirDevices},
	{title: "A person signs out everywhere else", play: signsOutEverywhereElse},
	{title: "A person ends the session that they are in", play: endsTheCurrentSession, skip: exceptions{browser: "the page offers to sign out instead"}},
	{title: "A device that was not used drops out of the list", play: idleSessionLeavesTheList},

	{title: "A person changes name and address", play: changesNameAndEmail},
	{title: "A person deletes their account", play: deletesTheAccount},
	{title: "A person reads in their log what was refused", play: readsRejectedAttempts},
	{title: "A log is read page by page", play: pagesThroughTheLog, skip: exceptions{browser: "the page turns larger pages; a test of its own reads a log to its end"}},
	{title: "The operator shuts an account and opens it again", play: operatorDisablesAnAccount},
	{title: "A person reaches nothing of another's", play: cannotReachAnotherAccount, skip: exceptions{browser: ownIDsOnly}},

	{title: "A program signs in, refreshes and signs out", play: appClientSignsIn, skip: exceptions{browser: cookieOnly}},
	{title: "A program's session ends idle or old", play: appClientSessionExpires, skip: exceptions{browser: cookieOnly}},
	{title: "An answer with tokens is lost and asked for again", play: tokenResponseIsLost, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token is stolen", play: aRefreshTokenIsStolen, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token of long ago is shown", play: oldRefreshTokenIsReused, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh token is invented", play: aRefreshTokenIsInvented, skip: exceptions{browser: cookieOnly}},
	{title: "Sixteen refreshes of one token at once", play: sixteenRefreshesAtOnce, skip: exceptions{browser: cookieOnly}},
	{title: "A refresh is no step-up", play: aRefreshIsNoStepUp, skip: exceptions{browser: cookieOnly}},
	{title: "An access token ends with its session", play: anAccessTokenEndsWithItsSession, skip: exceptions{browser: cookieOnly}},
	{title: "A shut account's program is out", play: disablingEndsAppClientSessions, skip: exceptions{browser: cookieOnly}},
	{title: "The phone is lost, and a backup code brings the person back", play: comesBackWithABackupCode},
	{title: "The phone is lost, and the authenticator app brings the person back", play: comesBackWithTheApp},
	{title: "Both are needed to come back, and one is refused", play: bothFactorsAreRequired, settings: requireBothFactors},
	{title: "A person types right codes on another keyboard", play: typesCodesOnAnotherKeyboard},
	{title: "Recovery is switched off", play: recoveryIsOff, settings: func(c *config.Config) { c.Recovery = domain.RecoveryOff }, skip: exceptions{browser: "the page does not offer it then"}},
	{title: "A recovery is no step-up", play: recoveryIsNoStepUp},
	{title: "A grant enrols one passkey, and is no session", play: grantRegistersOnePasskey, skip: exceptions{browser: respondsOnce}},
	{title: "A grant expires, and its code is not lost", play: aGrantExpires, skip: exceptions{browser: respondsOnce}},
	{title: "A grant is its owner's, and for nothing else", play: grantIsBoundToItsOwner, skip: exceptions{browser: oneBrowserOnly}},
	{title: "A grant ends with what bought it", play: grantEndsWithItsFactor, skip: exceptions{browser: respondsOnce}},
	{title: "Sixteen recoveries at once", play: sixteenRecoveriesAtOnce, skip: exceptions{browser: respondsOnce}},
	{title: "Somebody guesses codes until they have to wait, and the owner does not", play: guessesUntilBackoff, skip: exceptions{browser: "the page asks like any other client"}},
	{title: "Somebody guesses for weeks, until only a passkey opens the way again", play: guessesUntilRecoveryLocked, skip: exceptions{browser: "the page asks like any other client"}},
	{title: "Wrong backup codes count against the address", play: wrongBackupCodesCountAgainstTheIP},
	{title: "A person replaces and removes what they would recover with", play: changesTheFactors},
	{title: "The operator knows a person who has nothing left", play: operatorIssuesARecovery, skip: exceptions{browser: "the link is followed in a test of the page"}},

	{title: "A person confirms their address by a code from a letter", play: confirmsTheirEmail, mail: true},
	{title: "An address that has an account is claimed in vain, and its owner is told", play: signsUpWithATakenEmail, mail: true},
	{title: "A person changes their address, and whoever reads at the former one is told", play: changesEmailAndNotifiesTheFormer, mail: true},
	{title: "Somebody guesses a code, and nobody's address is theirs", play: guessesAnEmailCode, mail: true},
	{title: "A mailbox gets only so many letters that nobody answers", play: verificationEmailsAreLimited, mail: true, skip: exceptions{browser: "the page asks like any other client"}},
	{title: "A person is told by mail of what changes who can open their account", play: isNotifiedByEmail, mail: true},
	{title: "Letters wait while the mail server is away", play: emailsWaitForTheMailServer, mail: true, skip: exceptions{browser: "the page has no part in it"}},

	{title: "Signing keys are rotated, and no token is refused", play: keysAreRotated, skip: exceptions{browser: cookieOnly}},
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		t.Run(strings.ReplaceAll(s.title, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s.runOn(t, useCases, "SQLite in memory, with retries", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), retryingStore{sqlitestore.New(t)}, c)
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

var update = flag.Bool("update", false, "write docs/stories.md")

const storiesFile = "../docs/stories.md"

// TestStories_document holds docs/stories.md to the table above.
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
		t.Errorf("%s is not what the table of stories says; `make generate` writes it", storiesFile)
	}
	for _, s := range stories {
		for name := range s.skip {
			if name != useCases && name != overHTTP && name != browser {
				t.Errorf("%q names a door that is not there: %q", s.title, name)
			}
		}
	}
}

func describeStories() string {
	var b strings.Builder
	b.WriteString("# The stories\n\n" +
		"Each story is played through every door that can play it: the use cases directly (on SQLite and PostgreSQL), HTTP on\n" +
		"a real listener (on SQLite and PostgreSQL), and Chromium with a virtual authenticator on the product's own page (on SQLite).\n" +
		"`make generate` writes this page from the table in `acceptance/stories_test.go`.\n\n" +
		"| story | use cases | HTTP | browser | why not |\n| --- | --- | --- | --- | --- |\n")
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
