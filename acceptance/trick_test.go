package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// trick is one thing that is wrong with an answer. A door plays it with the authenticator that it has: the one in
// software forges the answer; a browser's virtual one can be told to misbehave in a few ways.
type trick struct {
	forge     authenticator.Variation
	inBrowser func(*tab) // nil if a browser would never do it
}

var (
	notVerified    = trick{authenticator.ForgeFlags(0, authenticator.UserVerified), (*tab).hidesVerification}
	nobodyThere    = trick{authenticator.ForgeFlags(0, authenticator.UserPresent), (*tab).hidesPresence}
	badSignature   = trick{authenticator.ForgeSignature(flipLastBit), (*tab).spoilsSignatures}
	otherOrigin    = trick{forge: authenticator.ForgeOrigin("https://keylodge.example")}
	otherRPID      = trick{forge: authenticator.ForgeRPID("keylodge.example")}
	insideAFrame   = trick{forge: authenticator.ForgeCrossOrigin("https://keylodge.example")}
	asARegister    = trick{forge: authenticator.ForgeType("webauthn.create")}
	asALogin       = trick{forge: authenticator.ForgeType("webauthn.get")}
	oldChallenge   = trick{forge: authenticator.ForgeChallenge(make([]byte, 32))}
	impossiblySafe = trick{forge: authenticator.ForgeFlags(authenticator.BackedUp, authenticator.BackupEligible)}
	duplicateKeys  = trick{forge: authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		return append([]byte(`{"origin":"https://keylodge.example",`), honest[1:]...)
	})}
)

func flipLastBit(signature []byte) []byte {
	forged := append([]byte(nil), signature...)
	forged[len(forged)-1] ^= 1
	return forged
}

func variations(tricks []trick) []authenticator.Variation {
	all := make([]authenticator.Variation, len(tricks))
	for i, t := range tricks {
		all[i] = t.forge
	}
	return all
}
