package acceptance

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func comesBackWithoutAName(l *env) {
	ada := l.person("Ada", autofillPhone)
	ada.signsUp()
	ada.requireSignedIn()
	ada.signsOut()
	ada.requireSignedOut("unauthenticated")
	ada.signsIn()
	ada.requireSignedIn()
}

func signsUpWithoutAName(l *env) {
	somebody := l.person("", phone)
	if _, isPage := somebody.device.(*browserPage); isPage {
		who, refused := somebody.device.signUp(profile{})
		if !strings.HasPrefix(who.name, "account ") {
			l.t.Fatalf("the page calls them %q (%+v)", who.name, refused)
		}
		somebody.name = who.name // a tag that tells nameless accounts apart
	} else {
		somebody.signsUp()
	}
	somebody.requireSignedIn()
	somebody.signsOut()
	somebody.signsIn()
}

func signsInByEmail(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	who, refused := ada.device.signIn(" Ada@Example.ORG")
	ada.requireIdentity(who, refused)
}

func comesBackWithASecurityKey(l *env) {
	ada := l.person("Ada", securityKey)
	ada.signsUp()
	for range 3 {
		ada.signsOut()
		ada.signsIn()
	}
}

func picksFromSuggestions(l *env) {
	ada := l.person("Ada", autofillPhone)
	ada.signsUp()
	browser := ada.device.(*browserPage)
	browser.setAutomaticPresence(true) // the next time the page asks, without a button
	browser.press("#sign-out")
	browser.waitFor("the suggestion is taken", signedInWithoutMessage)
	ada.requireSignedIn()
}

// signedInWithoutMessage holds when somebody is signed in who was not when the page last asked.
const signedInWithoutMessage = `document.querySelector('main').dataset.state === 'signed-in' && document.querySelector('main').getAttribute('aria-busy') !== 'true' && !document.getElementById('message').dataset.code`

func twoPeopleOnTwoDevices(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
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

func twoPeopleShareADevice(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()

	ben := &person{t: l.t, device: ada.device, profile: profile{name: "Ben", email: "ben@example.org"}}
	ben.signsUp()
	ben.signsOut()

	ada.signsInByEmail()
	ada.signsOut()
	ben.signsInByEmail()
}

func otherAccountsPasskeyIsRejected(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	ben.signsOut()

	device := ben.apiDevice()
	begun, refused := device.api.beginSignIn(ada.email)
	if refused != (rejection{}) {
		l.t.Fatalf("refused: %+v", refused)
	}
	answer, err := device.authenticator.Get(dropAllowCredentials(l, begun.options))
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = device.api.finishSignIn(begun.challengeID, answer)
	ben.requireRejectedAndSignedOut(refused, "passkey_rejected", "user_handle_mismatch")

	// Ben says that he is Ada, with his own passkey.
	begun = device.mustBeginSignIn()
	adas := ada.apiDevice().getAssertion(ada.apiDevice().mustBeginSignIn()).Response.UserHandle
	answer = device.getAssertion(begun, forgery{forge: authenticator.ForgeUserHandle(adas)})
	_, refused = device.api.finishSignIn(begun.challengeID, answer)
	ben.requireRejectedAndSignedOut(refused, "passkey_rejected", "user_handle_mismatch")
}

// dropAllowCredentials drops allowCredentials, as a client would that does not care.
func dropAllowCredentials(l *env, options []byte) []byte {
	l.t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		l.t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(l.t, members)
}

func mistypesTheAddress(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.123"
	_, refused := ada.device.signUp(ada.profile)
	if refused != (rejection{code: "invalid_request"}) {
		l.t.Fatalf("got %+v", refused)
	}
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("the error stands beside its field", `document.querySelector('#sign-up-email + .field-error')?.checkVisibility() && document.activeElement.id === 'sign-up-email'`)
	}
	ada.email = "ada@example.org"
	ada.signsUp()
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("no field error is left", `document.querySelector('.field-error') === null`)
	}
}

func emailIsTaken(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email, ben.email = "ada@example.org", "ada@example.org"
	ada.signsUp()
	ben.requireSignUpRejected("email_taken", "")
	if device, isScript := ben.device.(*apiDevice); isScript {
		_, refused := device.api.beginSignUp(ben.profile)
		ben.requireRejectedAndSignedOut(refused, "email_taken", "") // before a passkey is made for nothing
	}
	ben.email = "ben@example.org"
	ben.signsUp()
	ada.requireSignedIn()
}

func unknownEmailIsIndistinguishable(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ben.signsUp()
	ben.signsOut()

	allowed := func(email string) (pendingCeremony, []credentialDescriptor) {
		l.t.Helper()
		begun, refused := ben.apiDevice().api.beginSignIn(email)
		if refused != (rejection{}) {
			l.t.Fatalf("refused: %+v", refused)
		}
		var options struct {
			AllowCredentials []credentialDescriptor `json:"allowCredentials"`
		}
		if err := json.Unmarshal(begun.options, &options); err != nil {
			l.t.Fatal(err)
		}
		return begun, options.AllowCredentials
	}
	_, known := allowed("ada@example.org")
	_, unknown := allowed("nobody@example.org")
	_, again := allowed("nobody@example.org")
	if len(known) == 0 || len(unknown) == 0 {
		l.t.Fatalf("%d passkeys for a known address, %d for an unknown one", len(known), len(unknown))
	}
	if !bytes.Equal(encode(l.t, unknown), encode(l.t, again)) {
		l.t.Fatal("an unknown address is answered differently each time")
	}
	if known[0].Type != unknown[0].Type { // transports vary among decoys as among passkeys; some have none
		l.t.Fatalf("%+v for a known address, %+v for an unknown one", known[0], unknown[0])
	}

	// Ben's passkey fits neither, and is refused in the same way.
	for _, email := range []string{"ada@example.org", "nobody@example.org"} {
		begun, _ := allowed(email)
		answer, err := ben.apiDevice().authenticator.Get(dropAllowCredentials(l, begun.options))
		if err != nil {
			l.t.Fatal(err)
		}
		_, refused := ben.apiDevice().api.finishSignIn(begun.challengeID, answer)
		ben.requireRejectedAndSignedOut(refused, "passkey_rejected", "user_handle_mismatch")
	}

	// Nor does it help to say that it is the one that was asked for.
	for email, listed := range map[string][]credentialDescriptor{"ada@example.org": known, "nobody@example.org": unknown} {
		begun, _ := allowed(email)
		answer, err := ben.apiDevice().authenticator.Get(dropAllowCredentials(l, begun.options), authenticator.ForgeUserHandle(nil))
		if err != nil {
			l.t.Fatal(err)
		}
		answer.ID, answer.RawID = listed[0].ID, listed[0].ID
		_, refused := ben.apiDevice().api.finishSignIn(begun.challengeID, answer)
		ben.requireRejectedAndSignedOut(refused, "passkey_rejected", "signature_invalid")
	}
}

type credentialDescriptor struct {
	Type       string                  `json:"type"`
	ID         authenticator.Base64URL `json:"id"`
	Transports []string                `json:"transports"`
}

func dismissesThePrompt(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	switch device := ada.device.(type) {
	case *browserPage:
		device.dismissPrompt()
		_, refused := device.signIn("")
		ada.requireRejectedAndSignedOut(refused, "NotAllowedError", "")
	case *apiDevice:
		device.mustBeginSignIn()
	}
	ada.requireSignedOut("unauthenticated")
	ada.signsIn()
}

func hasNoPasskey(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.requireSignInRejected("NotAllowedError", "")
	if _, isPage := ben.device.(*browserPage); isPage {
		return
	}

	// A passkey of this RP id that another installation made.
	made := ben.apiDevice().mustBeginSignUp(ben.profile)
	if _, err := ben.apiDevice().authenticator.Create(made.options); err != nil {
		l.t.Fatal(err)
	}
	ben.requireSignInRejected("passkey_unknown", "")
}

func signUpIsClosed(l *env) {
	ada := l.person("Ada", phone)
	if page, isPage := ada.device.(*browserPage); isPage {
		page.waitFor("sign-up is explained and not offered", `document.getElementById('sign-up-form').hidden && !document.getElementById('registration-note').hidden`)
		return
	}
	ada.requireSignUpRejected("registration_closed", "")
}
