package acceptance

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func comesBackWithoutAName(l *lodge) {
	ada := l.person("Ada", suggestingPhone)
	ada.signsUp()
	ada.isSignedIn()
	ada.signsOut()
	ada.isAskedToSignIn("unauthenticated")
	ada.signsIn()
	ada.isSignedIn()
}

func signsUpWithoutAName(l *lodge) {
	somebody := l.person("", phone)
	if _, isPage := somebody.device.(*tab); isPage {
		who, refused := somebody.device.signUp(applicant{})
		if !strings.HasPrefix(who.name, "account ") {
			l.t.Fatalf("the page calls them %q (%+v)", who.name, refused)
		}
		somebody.name = who.name // a tag that tells nameless accounts apart
	} else {
		somebody.signsUp()
	}
	somebody.isSignedIn()
	somebody.signsOut()
	somebody.signsIn()
}

func signsInByEmail(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	who, refused := ada.device.signIn(" Ada@Example.ORG")
	ada.mustBe(who, refused)
}

func comesBackWithASecurityKey(l *lodge) {
	ada := l.person("Ada", securityKey)
	ada.signsUp()
	for range 3 {
		ada.signsOut()
		ada.signsIn()
	}
}

func picksFromSuggestions(l *lodge) {
	ada := l.person("Ada", suggestingPhone)
	ada.signsUp()
	browser := ada.device.(*tab)
	browser.touchReady(true) // the next time the page asks, without a button
	browser.press("#sign-out")
	browser.until("the suggestion is taken", settledAnew)
	ada.isSignedIn()
}

// settledAnew holds when somebody is signed in who was not when the page last asked.
const settledAnew = `document.querySelector('main').dataset.state === 'signed-in' && document.querySelector('main').getAttribute('aria-busy') !== 'true' && !document.getElementById('message').dataset.code`

func twoPeopleNeverMeet(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.isAskedToSignIn("unauthenticated")
	ben.signsUp()
	ada.isSignedIn()
	ben.isSignedIn()
	ada.signsOut()
	ben.isSignedIn()
	ada.signsIn()
	ben.signsOut()
	ada.isSignedIn()
	ben.signsIn()
}

func twoPeopleShareADevice(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()

	ben := &person{t: l.t, device: ada.device, applicant: applicant{name: "Ben", email: "ben@example.org"}}
	ben.signsUp()
	ben.signsOut()

	ada.signsInByEmail()
	ada.signsOut()
	ben.signsInByEmail()
}

func anotherPersonsPasskey(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	ben.signsOut()

	device := ben.script()
	begun, refused := device.connection.beginSignIn(ada.email)
	if refused != (refusal{}) {
		l.t.Fatalf("refused: %+v", refused)
	}
	answer, err := device.authenticator.Get(authenticatorOptionsWithout(l, begun.options))
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = device.connection.finishSignIn(begun.challengeID, answer)
	ben.mustBeRefused(refused, "passkey_rejected", "user_handle_mismatch")

	// Ben says that he is Ada, with his own passkey.
	begun = device.beginsSignIn()
	adas := ada.script().answers(ada.script().beginsSignIn()).Response.UserHandle
	answer = device.answers(begun, trick{forge: authenticator.ForgeUserHandle(adas)})
	_, refused = device.connection.finishSignIn(begun.challengeID, answer)
	ben.mustBeRefused(refused, "passkey_rejected", "user_handle_mismatch")
}

// authenticatorOptionsWithout drops allowCredentials, as a client would that does not care.
func authenticatorOptionsWithout(l *lodge, options []byte) []byte {
	l.t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		l.t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(l.t, members)
}

func mistypesTheAddress(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.123"
	_, refused := ada.device.signUp(ada.applicant)
	if refused != (refusal{code: "invalid_request"}) {
		l.t.Fatalf("got %+v", refused)
	}
	if page, isPage := ada.device.(*tab); isPage {
		page.until("the fault stands beside its field", `document.querySelector('#sign-up-email + .complaint')?.checkVisibility() && document.activeElement.id === 'sign-up-email'`)
	}
	ada.email = "ada@example.org"
	ada.signsUp()
	if page, isPage := ada.device.(*tab); isPage {
		page.until("nobody complains any more", `document.querySelector('.complaint') === null`)
	}
}

func anAddressIsTaken(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email, ben.email = "ada@example.org", "ada@example.org"
	ada.signsUp()
	ben.isRefusedSignUp("email_taken", "")
	if device, isScript := ben.device.(*script); isScript {
		_, refused := device.connection.beginSignUp(ben.applicant)
		ben.mustBeRefused(refused, "email_taken", "") // before a passkey is made for nothing
	}
	ben.email = "ben@example.org"
	ben.signsUp()
	ada.isSignedIn()
}

func anUnknownAddress(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.signsOut()
	ben.signsUp()
	ben.signsOut()

	allowed := func(email string) (attempt, []authenticatorDescriptor) {
		l.t.Helper()
		begun, refused := ben.script().connection.beginSignIn(email)
		if refused != (refusal{}) {
			l.t.Fatalf("refused: %+v", refused)
		}
		var options struct {
			AllowCredentials []authenticatorDescriptor `json:"allowCredentials"`
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
		answer, err := ben.script().authenticator.Get(authenticatorOptionsWithout(l, begun.options))
		if err != nil {
			l.t.Fatal(err)
		}
		_, refused := ben.script().connection.finishSignIn(begun.challengeID, answer)
		ben.mustBeRefused(refused, "passkey_rejected", "user_handle_mismatch")
	}

	// Nor does it help to say that it is the one that was asked for.
	for email, listed := range map[string][]authenticatorDescriptor{"ada@example.org": known, "nobody@example.org": unknown} {
		begun, _ := allowed(email)
		answer, err := ben.script().authenticator.Get(authenticatorOptionsWithout(l, begun.options), authenticator.ForgeUserHandle(nil))
		if err != nil {
			l.t.Fatal(err)
		}
		answer.ID, answer.RawID = listed[0].ID, listed[0].ID
		_, refused := ben.script().connection.finishSignIn(begun.challengeID, answer)
		ben.mustBeRefused(refused, "passkey_rejected", "signature_invalid")
	}
}

type authenticatorDescriptor struct {
	Type       string                  `json:"type"`
	ID         authenticator.Base64URL `json:"id"`
	Transports []string                `json:"transports"`
}

func dismissesThePrompt(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	switch device := ada.device.(type) {
	case *tab:
		device.dismisses()
		_, refused := device.signIn("")
		ada.mustBeRefused(refused, "NotAllowedError", "")
	case *script:
		device.beginsSignIn()
	}
	ada.isAskedToSignIn("unauthenticated")
	ada.signsIn()
}

func hasNoPasskey(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.isRefusedSignIn("NotAllowedError", "")
	if _, isPage := ben.device.(*tab); isPage {
		return
	}

	// A passkey of this RP id that another installation made.
	made := ben.script().beginsSignUp(ben.applicant)
	if _, err := ben.script().authenticator.Create(made.options); err != nil {
		l.t.Fatal(err)
	}
	ben.isRefusedSignIn("passkey_unknown", "")
}

func signUpIsClosed(l *lodge) {
	ada := l.person("Ada", phone)
	if page, isPage := ada.device.(*tab); isPage {
		page.until("sign-up is explained and not offered", `document.getElementById('sign-up-form').hidden && !document.getElementById('registration-note').hidden`)
		return
	}
	ada.isRefusedSignUp("registration_closed", "")
}
