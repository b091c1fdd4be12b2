package acceptance

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

func signsInWithoutEmail(e *env) {
	ada := e.person("Ada", autofillPhone)
	ada.signsUp()
	ada.requireSignedIn()
	ada.signsOut()
	ada.requireSignedOut("unauthenticated")
	ada.signsIn()
	ada.requireSignedIn()
}

func signsUpWithoutNameOrEmail(e *env) {
	ada := e.person("", phone)
	if _, isPage := ada.device.(*browserPage); isPage {
		user, rejected := ada.device.signUp(profile{})
		if !strings.HasPrefix(user.name, "account ") {
			e.t.Fatalf("the page shows the name %q, rejection %+v", user.name, rejected)
		}
		ada.name = user.name // the page names the account by a part of its id
	} else {
		ada.signsUp()
	}
	ada.requireSignedIn()
	ada.signsOut()
	ada.signsIn()
}

func signsInByEmail(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	user, rejected := ada.device.signIn(" Ada@Example.ORG")
	ada.requireIdentity(user, rejected)
}

func signsInWithASecurityKey(e *env) {
	ada := e.person("Ada", securityKey)
	ada.signsUp()
	for range 3 {
		ada.signsOut()
		ada.signsIn()
	}
}

func picksFromSuggestions(e *env) {
	ada := e.person("Ada", autofillPhone)
	ada.signsUp()
	browser := ada.device.(*browserPage)
	browser.setAutomaticPresence(true) // for the next request of the page, without a button
	browser.press("#sign-out")
	browser.waitFor("the suggestion is taken", signedInWithoutMessage)
	ada.requireSignedIn()
}

// signedInWithoutMessage is true when the user is signed in by a suggestion, which shows no message.
const signedInWithoutMessage = `document.querySelector('main').dataset.state === 'signed-in' && document.querySelector('main').getAttribute('aria-busy') !== 'true' && !document.getElementById('message').dataset.code`

func twoUsersOnTwoDevices(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.requireSignedOut("unauthenticated")
	ben.signsUp()
	ada.requireSignedIn()
	ben.requireSignedIn()
	ada.signsOut()
	ben.requireSignedIn()
	ada.signsIn()
	ben.signsOut()
	ada.requireSignedIn()
	ben.signsIn()
}

func twoUsersShareADevice(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()

	ben := &person{t: e.t, device: ada.device, profile: profile{name: "Ben", email: "ben@example.org"}}
	ben.signsUp()
	ben.signsOut()

	ada.signsInByEmail()
	ada.signsOut()
	ben.signsInByEmail()
}

func otherAccountsPasskeyIsRejected(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	ben.signsOut()

	device := ben.apiDevice()
	begun, rejected := device.api.beginSignIn(ada.email)
	if rejected != (rejection{}) {
		e.t.Fatalf("rejected: %+v", rejected)
	}
	response, err := device.authenticator.Get(withoutAllowCredentials(e.t, begun.options))
	if err != nil {
		e.t.Fatal(err)
	}
	_, rejected = device.api.finishSignIn(begun.challengeID, response)
	ben.requireRejectedAndSignedOut(rejected, "passkey_rejected", "user_handle_mismatch")

	// Ben's passkey with Ada's user handle.
	begun = device.mustBeginSignIn()
	adaHandle := ada.apiDevice().getAssertion(ada.apiDevice().mustBeginSignIn()).Response.UserHandle
	response = device.getAssertion(begun, forgery{forge: authenticator.ForgeUserHandle(adaHandle)})
	_, rejected = device.api.finishSignIn(begun.challengeID, response)
	ben.requireRejectedAndSignedOut(rejected, "passkey_rejected", "user_handle_mismatch")
}

func correctsAnInvalidEmail(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.123"
	_, rejected := ada.device.signUp(ada.profile)
	if rejected != (rejection{code: "invalid_request"}) {
		e.t.Fatalf("got %+v", rejected)
	}
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("the field shows its error", `document.querySelector('#sign-up-email + .field-error')?.checkVisibility() && document.activeElement.id === 'sign-up-email'`)
	}
	ada.email = "ada@example.org"
	ada.signsUp()
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("no field error is left", `document.querySelector('.field-error') === null`)
	}
}

func emailIsTaken(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email, ben.email = "ada@example.org", "ada@example.org"
	ada.signsUp()
	ben.requireSignUpRejected("email_taken", "")
	if device, isAPI := ben.device.(*apiDevice); isAPI {
		_, rejected := device.api.beginSignUp(ben.profile)
		ben.requireRejectedAndSignedOut(rejected, "email_taken", "") // before the authenticator creates a passkey
	}
	ben.email = "ben@example.org"
	ben.signsUp()
	ada.requireSignedIn()
}

func unknownEmailIsIndistinguishable(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ben.signsUp()
	ben.signsOut()

	allowed := func(email string) (pendingCeremony, []credentialDescriptor) {
		e.t.Helper()
		begun, rejected := ben.apiDevice().api.beginSignIn(email)
		if rejected != (rejection{}) {
			e.t.Fatalf("rejected: %+v", rejected)
		}
		var options struct {
			AllowCredentials []credentialDescriptor `json:"allowCredentials"`
		}
		if err := json.Unmarshal(begun.options, &options); err != nil {
			e.t.Fatal(err)
		}
		return begun, options.AllowCredentials
	}
	_, known := allowed("ada@example.org")
	_, unknown := allowed("unknown@example.org")
	_, second := allowed("unknown@example.org")
	if len(known) == 0 || len(unknown) == 0 {
		e.t.Fatalf("%d passkeys for a known address, %d for an unknown one", len(known), len(unknown))
	}
	if !bytes.Equal(encode(e.t, unknown), encode(e.t, second)) {
		e.t.Fatal("the decoys of an unknown address change")
	}
	if known[0].Type != unknown[0].Type { // decoys and passkeys have various transports, or none
		e.t.Fatalf("%+v for a known address, %+v for an unknown one", known[0], unknown[0])
	}

	// Ben's passkey is rejected for both addresses in the same way.
	for _, email := range []string{"ada@example.org", "unknown@example.org"} {
		begun, _ := allowed(email)
		response, err := ben.apiDevice().authenticator.Get(withoutAllowCredentials(e.t, begun.options))
		if err != nil {
			e.t.Fatal(err)
		}
		_, rejected := ben.apiDevice().api.finishSignIn(begun.challengeID, response)
		ben.requireRejectedAndSignedOut(rejected, "passkey_rejected", "user_handle_mismatch")
	}

	// It is also rejected with a listed id.
	for email, listed := range map[string][]credentialDescriptor{"ada@example.org": known, "unknown@example.org": unknown} {
		begun, _ := allowed(email)
		response, err := ben.apiDevice().authenticator.Get(withoutAllowCredentials(e.t, begun.options), authenticator.ForgeUserHandle(nil))
		if err != nil {
			e.t.Fatal(err)
		}
		response.ID, response.RawID = listed[0].ID, listed[0].ID
		_, rejected := ben.apiDevice().api.finishSignIn(begun.challengeID, response)
		ben.requireRejectedAndSignedOut(rejected, "passkey_rejected", "signature_invalid")
	}
}

type credentialDescriptor struct {
	Type       string                  `json:"type"`
	ID         authenticator.Base64URL `json:"id"`
	Transports []string                `json:"transports"`
}

func dismissesThePrompt(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	switch device := ada.device.(type) {
	case *browserPage:
		device.dismissPrompt()
		_, rejected := device.signIn("")
		ada.requireRejectedAndSignedOut(rejected, "NotAllowedError", "")
	case *apiDevice:
		device.mustBeginSignIn()
	}
	ada.requireSignedOut("unauthenticated")
	ada.signsIn()
}

func hasNoPasskey(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.requireSignInRejected("NotAllowedError", "")
	if _, isPage := ben.device.(*browserPage); isPage {
		return
	}

	// A passkey of this RP ID that another server registered.
	signUp := ben.apiDevice().mustBeginSignUp(ben.profile)
	if _, err := ben.apiDevice().authenticator.Create(signUp.options); err != nil {
		e.t.Fatal(err)
	}
	ben.requireSignInRejected("passkey_unknown", "")
}

func signUpIsClosed(e *env) {
	ada := e.person("Ada", phone)
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("sign-up is explained and not offered", `document.getElementById('sign-up-form').hidden && !document.getElementById('registration-note').hidden`)
		return
	}
	ada.requireSignUpRejected("registration_closed", "")
}
