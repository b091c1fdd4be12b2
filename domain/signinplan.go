package domain

import "slices"

// SignInWay is a way to sign in that a browser offers.
type SignInWay string

const (
	WayImmediate   SignInWay = "immediate"    // with a passkey of this device, without a prompt if there is none (uiMode immediate)
	WayAutofill    SignInWay = "autofill"     // among the suggestions of an input field (conditional mediation)
	WayPrompt      SignInWay = "prompt"       // the browser's prompt for any passkey
	WayPhone       SignInWay = "phone"        // with another device (transport hybrid)
	WaySecurityKey SignInWay = "security_key" // with a roaming authenticator
	WayRecovery    SignInWay = "recovery"     // without a passkey
)

// SignInWays lists all ways, in the order of a plan.
var SignInWays = []SignInWay{WayImmediate, WayAutofill, WayPrompt, WayPhone, WaySecurityKey, WayRecovery}

// ClientCapabilities are what getClientCapabilities of a browser reports, by its names (WebAuthn Level 3, section 5.1.7). A name that is
// absent is unknown.
type ClientCapabilities map[string]bool

// PlanSignIn returns the ways that a browser should offer, the best first. Neither the account nor its existence changes the plan. A
// user who names an account is asked by the ordinary prompt: the ways before it are for any passkey.
func PlanSignIn(capabilities ClientCapabilities, namesAccount bool, recovery RecoveryPolicy) []SignInWay {
	isMissing := func(name string) bool { able, known := capabilities[name]; return known && !able }
	return slices.DeleteFunc(slices.Clone(SignInWays), func(way SignInWay) bool {
		switch way {
		case WayImmediate:
			return namesAccount || !capabilities["immediateGet"]
		case WayAutofill:
			return namesAccount || !capabilities["conditionalGet"]
		case WayPhone:
			return isMissing("hybridTransport")
		case WayRecovery:
			return recovery == RecoveryOff
		}
		return false
	})
}

// SignInOutcome is what became of a way to sign in.
type SignInOutcome string

const (
	OutcomeBegun     SignInOutcome = "begun"      // the server planned it as the first one
	OutcomePrompted  SignInOutcome = "prompted"   // the browser was asked
	OutcomeCancelled SignInOutcome = "cancelled"  // by the user, or by the prompt's timeout
	OutcomeNoPasskey SignInOutcome = "no_passkey" // this device has none
	OutcomeDone      SignInOutcome = "done"       // the user signed in
)

// SignInOutcomes lists all outcomes. A browser reports each but the first.
var SignInOutcomes = []SignInOutcome{OutcomeBegun, OutcomePrompted, OutcomeCancelled, OutcomeNoPasskey, OutcomeDone}

// SignInStep is a way with its outcome.
type SignInStep struct {
	Way     SignInWay
	Outcome SignInOutcome
}

// ParseSignInStep returns an *InvalidInput for the field if a browser cannot report the step.
func ParseSignInStep(field, way, outcome string) (SignInStep, error) {
	var badWay, badOutcome error
	if !slices.Contains(SignInWays, SignInWay(way)) {
		badWay = Invalid(field+".way", "unknown_way", "this must be a way of the plan")
	}
	if !slices.Contains(SignInOutcomes[1:], SignInOutcome(outcome)) {
		badOutcome = Invalid(field+".outcome", "unknown_outcome", "this must be prompted, cancelled, no_passkey or done")
	}
	return SignInStep{SignInWay(way), SignInOutcome(outcome)}, JoinInvalid(badWay, badOutcome)
}

// BrowserFamily is a browser by the program that implements WebAuthn in it, for metrics.
type BrowserFamily string

const (
	FamilyChrome  BrowserFamily = "chrome"
	FamilyEdge    BrowserFamily = "edge"
	FamilyFirefox BrowserFamily = "firefox"
	FamilySafari  BrowserFamily = "safari"
	FamilySamsung BrowserFamily = "samsung_internet"
	FamilyOther   BrowserFamily = "other"
)

// BrowserFamilies lists all families.
var BrowserFamilies = []BrowserFamily{FamilyChrome, FamilyEdge, FamilyFirefox, FamilySafari, FamilySamsung, FamilyOther}
