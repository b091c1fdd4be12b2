package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// forgery is one error in a WebAuthn response, or a user who dismisses the prompt. The software authenticator of the tests forges the response; the virtual
// authenticator of a browser can produce only some of the errors.
type forgery struct {
	forge     authenticator.Variation
	inBrowser func(*browserPage) // nil if the browser cannot produce it
}

var (
	noUserVerification = forgery{authenticator.ForgeFlags(0, authenticator.UserVerified), (*browserPage).failUserVerification}
	noUserPresence     = forgery{authenticator.ForgeFlags(0, authenticator.UserPresent), (*browserPage).failUserPresence}
	badSignature       = forgery{authenticator.ForgeSignature(flipLastBit), (*browserPage).corruptSignatures}
	otherOrigin        = forgery{forge: authenticator.ForgeOrigin("https://keylodge.example")}
	otherRPID          = forgery{forge: authenticator.ForgeRPID("keylodge.example")}
	crossOriginFrame   = forgery{forge: authenticator.ForgeCrossOrigin("https://keylodge.example")}
	typeCreate         = forgery{forge: authenticator.ForgeType("webauthn.create")}
	typeGet            = forgery{forge: authenticator.ForgeType("webauthn.get")}
	otherChallenge     = forgery{forge: authenticator.ForgeChallenge(make([]byte, 32))}
	bsWithoutBE        = forgery{forge: authenticator.ForgeFlags(authenticator.BackedUp, authenticator.BackupEligible)}
	promptDismissed    = forgery{authenticator.Choose([]byte("none")), (*browserPage).dismissPrompt}
	duplicateMember    = forgery{forge: authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		return append([]byte(`{"origin":"https://keylodge.example",`), honest[1:]...)
	})}
)

var backupEligibilityCleared = forgery{
	authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp), (*browserPage).clearBackupEligibility,
}

func forgedSignCount(n uint32) forgery {
	return forgery{authenticator.ForgeSignCount(n), setSignCount(n)}
}

func flipLastBit(signature []byte) []byte {
	forged := append([]byte(nil), signature...)
	forged[len(forged)-1] ^= 1
	return forged
}

func variations(forgeries []forgery) []authenticator.Variation {
	all := make([]authenticator.Variation, len(forgeries))
	for i, t := range forgeries {
		all[i] = t.forge
	}
	return all
}
