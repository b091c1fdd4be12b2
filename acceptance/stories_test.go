package acceptance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// story is what happens to some people at a server of their own.
type story struct {
	title    string
	play     func(l *lodge)
	cannot   exceptions
	settings func(*bootstrap.Config) // nil for the usual ones
	mail     bool                    // whether the server sends any
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
	neverForges   = "a browser writes the truth into what it signs"
	asksOnce      = "the page answers each challenge once, and at once"
	keepsToItself = "the page never hands its challenge to another browser"
	cannotRegress = "the browser's authenticator has one id for one key"
	noProgram     = "a page is no program: it has a cookie"
	noIDs         = "the page knows its own person's ids only"
	cannotSwap    = "a virtual authenticator that was taken away does not come back"
	noAutofill    = "suggestions are the browser's; to the server they are a sign-in without a name"
)

// stories is the matrix: every story, and every door that cannot play it.
var stories = []story{
	{title: "A person signs up, signs out, and comes back without giving a name", play: comesBackWithoutAName},
	{title: "A person signs up without saying anything about themselves", play: signsUpWithoutAName},
	{title: "A person signs in by e-mail, however they write the address", play: signsInByEmail},
	{title: "A person with a security key comes back", play: comesBackWithASecurityKey},
	{title: "A person picks their passkey from the browser's suggestions", play: picksFromSuggestions, cannot: exceptions{useCases: noAutofill, overHTTP: noAutofill}},
	{title: "Two people on two devices never see each other", play: twoPeopleNeverMeet},
	{title: "Two people on one device stay apart", play: twoPeopleShareADevice},
	{title: "A person answers with a passkey that is not the account's", play: anotherPersonsPasskey, cannot: exceptions{browser: neverForges}},
	{title: "A person mistypes their address and corrects it", play: mistypesTheAddress},
	{title: "An e-mail address belongs to one account", play: anAddressIsTaken},
	{title: "An address without an account is answered like one with", play: anUnknownAddress, cannot: exceptions{browser: "what tells the two apart would be in the answer, which the page does not show"}},
	{title: "A person dismisses the prompt and tries again", play: dismissesThePrompt},
	{title: "A person with no passkey here cannot sign in", play: hasNoPasskey},
	{title: "Sign-up is closed", play: signUpIsClosed, settings: func(c *bootstrap.Config) { c.Registration = domain.RegistrationClosed }},

	{title: "An answer is replayed", play: anAnswerIsReplayed, cannot: exceptions{browser: asksOnce}},
	{title: "Sixteen copies of one answer arrive at once", play: sixteenAnswersAtOnce, cannot: exceptions{browser: asksOnce}},
	{title: "A failed answer spends its challenge", play: aFailedAnswerSpendsItsChallenge, cannot: exceptions{browser: asksOnce}},
	{title: "A challenge expires", play: aChallengeExpires},
	{title: "What has expired is swept away", play: whatExpiredIsSweptAway, cannot: exceptions{browser: asksOnce}},
	{title: "A challenge is answered from another browser", play: answeredFromAnotherBrowser, cannot: exceptions{browser: keepsToItself}},
	{title: "A sign-up's challenge is used to sign in", play: aChallengeForAnotherPurpose, cannot: exceptions{browser: asksOnce}},

	{title: "An answer was made for another origin", play: anotherOrigin, cannot: exceptions{browser: neverForges}},
	{title: "An answer was made inside another site's frame", play: insideAnotherSitesFrame, cannot: exceptions{browser: neverForges}},
	{title: "An answer was made for another RP id", play: anotherRPID, cannot: exceptions{browser: neverForges}},
	{title: "An answer is of the wrong type", play: theWrongType, cannot: exceptions{browser: neverForges}},
	{title: "An answer is for another challenge", play: anotherChallenge, cannot: exceptions{browser: neverForges}},
	{title: "An answer says two things at once", play: clientDataWithTwoFaces, cannot: exceptions{browser: neverForges}},
	{title: "An answer claims a backup that cannot be", play: anImpossibleBackup, cannot: exceptions{browser: neverForges}},
	{title: "A signature is bad", play: aBadSignature},
	{title: "The device did not check who it was", play: notVerifiedByTheDevice},
	{title: "Nobody touched the device", play: nobodyTouchedTheDevice},
	{title: "Somebody else's credential id is registered again", play: aCredentialIDTwice, cannot: exceptions{browser: cannotRegress}},
	{title: "A counter goes back", play: aCounterGoesBack},
	{title: "A counter goes back where that is only noted", play: aCounterGoesBackNoted, settings: func(c *bootstrap.Config) { c.Use.Counter = domain.CounterFlag }},
	{title: "A counter goes back where that suspends the passkey", play: aCounterGoesBackSuspended, settings: func(c *bootstrap.Config) { c.Use.Counter = domain.CounterSuspend }},
	{title: "A synced passkey's counter means nothing", play: aSyncedCounterGoesBack},
	{title: "A passkey's backup eligibility changes", play: backupEligibilityChanges},
	{title: "A passkey's backup eligibility changes where that is accepted", play: backupEligibilityChangesAccepted, settings: func(c *bootstrap.Config) { c.Use.BackupEligibility = domain.BackupEligibilityAcceptAndRecord }},

	{title: "An authenticator that is not taken makes no passkey, whichever way", play: anUnwelcomeAuthenticator, settings: deniesAModel, cannot: exceptions{browser: neverForges}},

	{title: "A session ends after its idle time", play: aSessionEndsIdle},
	{title: "A session in use ends at its age", play: aSessionEndsOld},
	{title: "Signing in again ends the session before", play: signingInReplacesTheSession, cannot: exceptions{browser: "the page does not show a session's token"}},

	{title: "A person adds a passkey and signs in with it", play: addsAPasskey},
	{title: "A person renames a passkey", play: renamesAPasskey},
	{title: "A person deletes a passkey, and nobody stays signed in by it", play: deletesAPasskey},
	{title: "The last passkey stays", play: keepsTheLastPasskey},
	{title: "An authenticator holds one passkey of an account", play: addsOneWhereOneIs},
	{title: "An account has only so many passkeys", play: reachesTheLimit, settings: twoPasskeysAtMost},
	{title: "The last two passkeys are deleted sixteen times at once", play: theLastPasskeyIsDeletedTwiceAtOnce, cannot: exceptions{browser: asksOnce}},
	{title: "Sixteen passkeys want the last place at once", play: theLimitIsReachedTwiceAtOnce, settings: twoPasskeysAtMost, cannot: exceptions{browser: asksOnce}},
	{title: "A passkey is added in the session that asked for it", play: aPasskeyIsAddedInItsOwnSession, cannot: exceptions{browser: keepsToItself}},
	{title: "A suspended passkey's owner sees and deletes it", play: ownsASuspendedPasskey, settings: func(c *bootstrap.Config) { c.Use.Counter = domain.CounterSuspend }, cannot: exceptions{browser: cannotSwap}},

	{title: "What is sensitive asks for a step-up", play: stepsUpForWhatIsSensitive},
	{title: "A step-up renews the session, and a copy of its token opens nothing", play: stepUpRenewsTheToken, cannot: exceptions{browser: "the page does not show a session's token"}},
	{title: "A step-up is nobody else's, and for nothing else", play: stepUpIsNotBorrowed, cannot: exceptions{browser: keepsToItself}},

	{title: "A person sees where they are signed in, and ends one of it", play: seesTheirDevices},
	{title: "A person signs out everywhere else", play: signsOutEverywhereElse},
	{title: "A person ends the session that they are in", play: endsTheSessionAtHand, cannot: exceptions{browser: "the page offers to sign out instead"}},
	{title: "A device that was not used drops out of the list", play: knowsWhenADeviceWasUsed},

	{title: "A person changes name and address", play: changesWhatTheAccountSays},
	{title: "A person deletes their account", play: deletesTheAccount},
	{title: "A person reads in their log what was refused", play: readsWhatWasRefused},
	{title: "A log is read page by page", play: aDayInTheLog, cannot: exceptions{browser: "the page turns larger pages; a test of its own reads a log to its end"}},
	{title: "The operator shuts an account and opens it again", play: theOperatorShutsAnAccount},
	{title: "A person reaches nothing of another's", play: reachesNothingOfAnothers, cannot: exceptions{browser: noIDs}},

	{title: "A program signs in, refreshes and signs out", play: aProgramSignsIn, cannot: exceptions{browser: noProgram}},
	{title: "A program's session ends idle or old", play: aProgramStaysSignedIn, cannot: exceptions{browser: noProgram}},
	{title: "An answer with tokens is lost and asked for again", play: anAnswerWithTokensIsLost, cannot: exceptions{browser: noProgram}},
	{title: "A refresh token is stolen", play: aRefreshTokenIsStolen, cannot: exceptions{browser: noProgram}},
	{title: "A refresh token of long ago is shown", play: aRefreshTokenOfLongAgoIsShown, cannot: exceptions{browser: noProgram}},
	{title: "A refresh token is invented", play: aRefreshTokenIsInvented, cannot: exceptions{browser: noProgram}},
	{title: "Sixteen refreshes of one token at once", play: sixteenRefreshesAtOnce, cannot: exceptions{browser: noProgram}},
	{title: "A refresh is no step-up", play: aRefreshIsNoStepUp, cannot: exceptions{browser: noProgram}},
	{title: "An access token ends with its session", play: anAccessTokenEndsWithItsSession, cannot: exceptions{browser: noProgram}},
	{title: "A shut account's program is out", play: aDisabledAccountsProgramIsOut, cannot: exceptions{browser: noProgram}},
	{title: "The phone is lost, and a backup code brings the person back", play: comesBackWithABackupCode},
	{title: "The phone is lost, and the authenticator app brings the person back", play: comesBackWithTheApp},
	{title: "Both are needed to come back, and one is refused", play: bothAreNeeded, settings: needsBoth},
	{title: "A person types right codes on another keyboard", play: typesCodesOnAnotherKeyboard},
	{title: "Recovery is switched off", play: recoveryIsOff, settings: func(c *bootstrap.Config) { c.Recovery = domain.RecoveryOff }, cannot: exceptions{browser: "the page does not offer it then"}},
	{title: "A recovery is no step-up", play: recoveryIsNoStepUp},
	{title: "A grant enrols one passkey, and is no session", play: aGrantEnrolsOnce, cannot: exceptions{browser: asksOnce}},
	{title: "A grant expires, and its code is not lost", play: aGrantExpires, cannot: exceptions{browser: asksOnce}},
	{title: "A grant is its owner's, and for nothing else", play: aGrantIsSomebodysOwn, cannot: exceptions{browser: keepsToItself}},
	{title: "A grant ends with what bought it", play: aGrantEndsWithWhatBoughtIt, cannot: exceptions{browser: asksOnce}},
	{title: "Sixteen recoveries at once", play: sixteenRecoveriesAtOnce, cannot: exceptions{browser: asksOnce}},
	{title: "Somebody guesses codes until they have to wait, and the owner does not", play: guessesUntilLocked, cannot: exceptions{browser: "the page asks like any other client"}},
	{title: "Somebody guesses for weeks, until only a passkey opens the way again", play: guessesUntilClosed, cannot: exceptions{browser: "the page asks like any other client"}},
	{title: "Wrong backup codes count against the address", play: wrongBackupCodesCountAgainstTheAddress},
	{title: "A person replaces and removes what they would recover with", play: changesTheFactors},
	{title: "The operator knows a person who has nothing left", play: theOperatorKnowsThem, cannot: exceptions{browser: "the link is followed in a test of the page"}},

	{title: "A person confirms their address by a code from a letter", play: confirmsTheirAddress, mail: true},
	{title: "An address that has an account is claimed in vain, and its owner is told", play: claimsATakenAddress, mail: true},
	{title: "A person changes their address, and whoever reads at the former one is told", play: movesToAnotherAddress, mail: true},
	{title: "Somebody guesses a code, and nobody's address is theirs", play: guessesAnEmailCode, mail: true},
	{title: "A mailbox gets only so many letters that nobody answers", play: floodsAMailbox, mail: true, cannot: exceptions{browser: "the page asks like any other client"}},
	{title: "A person is told by mail of what changes who can open their account", play: isToldByMail, mail: true},
	{title: "Letters wait while the mail server is away", play: lettersWait, mail: true, cannot: exceptions{browser: "the page has no part in it"}},

	{title: "Signing keys are rotated, and no token is refused", play: keysAreRotated, cannot: exceptions{browser: noProgram}},
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		t.Run(strings.ReplaceAll(s.title, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s.through(t, useCases, "memory", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return openUseCases(t, settings(t, useCaseOrigin, adjust), memoryStore(t), c)
			})
			s.through(t, useCases, "memory, trying twice", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return openUseCases(t, settings(t, useCaseOrigin, adjust), twice{memoryStore(t)}, c)
			})
			s.through(t, useCases, "SQLite", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return openUseCases(t, settings(t, useCaseOrigin, adjust), sqliteStore(t), c)
			})
			s.through(t, useCases, "PostgreSQL", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return openUseCases(t, settings(t, useCaseOrigin, adjust), postgresStore(t), c)
			})
			s.through(t, overHTTP, "SQLite", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return httpDoor{startServer(t, c, adjust)}
			})
			s.through(t, overHTTP, "PostgreSQL", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				return httpDoor{startServer(t, c, onPostgres(t, adjust))}
			})
			s.through(t, browser, "SQLite", func(t *testing.T, c *clock, adjust func(*bootstrap.Config)) door {
				requireChromium(t)
				return browserDoor{startServer(t, c, adjust)}
			})
		})
	}
}

func (s story) through(t *testing.T, name, store string, open func(*testing.T, *clock, func(*bootstrap.Config)) door) {
	if _, excepted := s.cannot[name]; excepted {
		return
	}
	t.Run(name+" on "+store, func(t *testing.T) {
		l := &lodge{t: t, clock: newClock()}
		if s.mail {
			l.post = mailserver.Start(t, mailserver.Options{})
		}
		l.door = open(t, l.clock, func(c *bootstrap.Config) {
			if s.settings != nil {
				s.settings(c)
			}
			if s.mail {
				c.SMTP = sendingTo(t, l.post, c.PublicURL)
			}
		})
		s.play(l)
	})
}

var _ ports.Clock = (*clock)(nil)

var update = flag.Bool("update", false, "write docs/stories.md")

const matrixFile = "../docs/stories.md"

// TestMatrix holds docs/stories.md to the table above.
func TestMatrix(t *testing.T) {
	want := matrix()
	if *update {
		if err := os.WriteFile(matrixFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table of stories says; `make generate` writes it", matrixFile)
	}
	for _, s := range stories {
		for name := range s.cannot {
			if name != useCases && name != overHTTP && name != browser {
				t.Errorf("%q names a door that is not there: %q", s.title, name)
			}
		}
	}
}

func matrix() string {
	var b strings.Builder
	b.WriteString("# The stories\n\n" +
		"Each story is played through every door that can play it: the use cases directly (on memory, SQLite and PostgreSQL), HTTP on\n" +
		"a real listener (on SQLite and PostgreSQL), and Chromium with a virtual authenticator on the product's own page (on SQLite).\n" +
		"`make generate` writes this page from the table in `acceptance/stories_test.go`.\n\n" +
		"| story | use cases | HTTP | browser | why not |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range stories {
		var cells, reasons []string
		for _, name := range []string{useCases, overHTTP, browser} {
			reason, excepted := s.cannot[name]
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
