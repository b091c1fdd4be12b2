package acceptance

import (
	"bytes"
	"encoding/json"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// forgeryCase is a forged response at sign-up and at sign-in, and its rejection.
type forgeryCase struct {
	code               string
	reason             domain.Reason
	atSignUp, atSignIn forgery
}

// requireForgeriesRejected sends the forged responses at sign-up, where they must not create an account, and at sign-in. Unforged
// responses must succeed.
func requireForgeriesRejected(e *env, forged ...forgeryCase) {
	e.t.Helper()
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	for _, f := range forged {
		ada.requireSignUpRejected(f.code, f.reason, f.atSignUp)
	}
	ada.signsUp()
	ada.signsOut()
	for _, f := range forged {
		ada.requireSignInRejected(f.code, f.reason, f.atSignIn)
	}
	ada.signsIn()
}

// forgedResponsesAreRejected sends what no browser produces. TestConformance_Registration and TestConformance_Authentication have
// all cases.
func forgedResponsesAreRejected(e *env) {
	requireForgeriesRejected(e,
		forgeryCase{"passkey_rejected", domain.ReasonOriginNotAllowed, otherOrigin, otherOrigin},
		forgeryCase{"passkey_rejected", domain.ReasonCrossOrigin, crossOriginFrame, crossOriginFrame},
		forgeryCase{"passkey_rejected", domain.ReasonRPIDMismatch, otherRPID, otherRPID},
		forgeryCase{"passkey_rejected", domain.ReasonTypeMismatch, typeGet, typeCreate},
		forgeryCase{"passkey_rejected", domain.ReasonChallengeMismatch, otherChallenge, otherChallenge},
		forgeryCase{"passkey_rejected", domain.ReasonMalformed, duplicateMember, duplicateMember},
		forgeryCase{"passkey_rejected", domain.ReasonBackupStateInvalid, bsWithoutBE, bsWithoutBE})
}

func credentialIDIsRegisteredOnce(e *env) {
	ada, mallory := e.newUser("Ada", phone), e.person("Mallory", phone)
	ada.signsOut()
	device := ada.apiDevice()
	adaID := device.getAssertion(device.mustBeginSignIn()).ID

	mallory.email = "mallory@example.org"
	mallory.requireSignUpRejected("passkey_already_registered", "", forgery{forge: authenticator.ForgeCredentialID(adaID)})
	ada.signsIn()
	mallory.signsUp()
}

func otherAccountsPasskeyIsRejected(e *env) {
	ada, ben := e.newUserWithEmail("Ada", phone, "ada@example.org"), e.newUser("Ben", phone)
	ben.signsOut()

	// Ben's passkey for a challenge that lists only Ada's.
	device := ben.apiDevice()
	begun := device.mustBeginSignInByEmail(ada.email)
	ben.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, device.getAssertionUnlisted(begun)), "passkey_rejected", domain.ReasonUserHandleMismatch)

	// Ben's passkey with Ada's user handle.
	adaHandle := ada.apiDevice().getAssertion(ada.apiDevice().mustBeginSignIn()).Response.UserHandle
	ben.requireSignInRejected("passkey_rejected", domain.ReasonUserHandleMismatch, forgery{forge: authenticator.ForgeUserHandle(adaHandle)})
}

// passkeyOfAnotherServer is one for the same RP ID, which the server does not know.
func passkeyOfAnotherServerIsUnknown(e *env) {
	ben := e.person("Ben", phone)
	device := ben.apiDevice()
	device.makeCredential(device.mustBeginSignUp(ben.profile))
	ben.requireSignInRejected("passkey_unknown", "")
}

func unknownEmailIsIndistinguishable(e *env) {
	ada, ben := e.newUserWithEmail("Ada", phone, "ada@example.org"), e.newUser("Ben", phone)
	ada.signsOut()
	ben.signsOut()
	device := ben.apiDevice()
	allowed := func(email string) []credentialDescriptor {
		e.t.Helper()
		var options struct {
			AllowCredentials []credentialDescriptor `json:"allowCredentials"`
		}
		if err := json.Unmarshal(device.mustBeginSignInByEmail(email).options, &options); err != nil {
			e.t.Fatal(err)
		}
		return options.AllowCredentials
	}
	known, unknown, again := allowed("ada@example.org"), allowed("unknown@example.org"), allowed("unknown@example.org")
	if len(known) == 0 || len(unknown) == 0 {
		e.t.Fatalf("%d passkeys for a known address, %d for an unknown one", len(known), len(unknown))
	}
	if !bytes.Equal(encode(e.t, unknown), encode(e.t, again)) {
		e.t.Fatal("the decoys of an unknown address change")
	}
	if known[0].Type != unknown[0].Type { // decoys and passkeys have various transports, or none
		e.t.Fatalf("%+v for a known address, %+v for an unknown one", known[0], unknown[0])
	}

	// Ben's passkey is rejected for both addresses in the same way, with its own id and with a listed one.
	for email, listed := range map[string]credentialDescriptor{"ada@example.org": known[0], "unknown@example.org": unknown[0]} {
		begun := device.mustBeginSignInByEmail(email)
		ben.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, device.getAssertionUnlisted(begun)), "passkey_rejected", domain.ReasonUserHandleMismatch)

		begun = device.mustBeginSignInByEmail(email)
		response := device.getAssertionUnlisted(begun, forgery{forge: authenticator.ForgeUserHandle(nil)})
		response.ID, response.RawID = listed.ID, listed.ID
		ben.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, response), "passkey_rejected", domain.ReasonSignatureInvalid)
	}
}

type credentialDescriptor struct {
	Type       string                  `json:"type"`
	ID         authenticator.Base64URL `json:"id"`
	Transports []string                `json:"transports"`
}
