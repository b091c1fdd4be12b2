package acceptance

import (
	"net/http"
	"testing"
)

// A name that comes as letters and accents is stored composed (Unicode Normalization Form C), by every call that takes one.
func TestNames_AreStoredComposed(t *testing.T) {
	const sent, stored = "Rene\u0301", "Ren\u00e9"
	s := startServer(t, newClock(), nil)
	device := httpDoor{s}.client(t, phone).(*script)
	c := device.connection.(*httpConnection)
	begun, refused := c.beginSignUp(applicant{name: sent})
	if refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	var session sessionBody
	if refused := c.call(http.MethodPost, "/v1/signup/verify", map[string]any{
		"challenge_id": begun.challengeID, "credential": device.makes(begun), "passkey_name": sent,
	}, &session); refused != (refusal{}) || session.User.DisplayName != stored {
		t.Fatalf("the sign-up: %+v, the display name %q", refused, session.User.DisplayName)
	}
	c.csrf = session.CSRFToken
	named := func(after string) string {
		t.Helper()
		keys, refused := c.passkeys()
		if refused != (refusal{}) || len(keys) != 1 || keys[0].name != stored {
			t.Fatalf("after %s: %+v, %+v", after, keys, refused)
		}
		return keys[0].id
	}
	id := named("the sign-up")
	for _, name := range []string{"Key", sent} {
		if refused := c.renamePasskey(id, name); refused != (refusal{}) {
			t.Fatalf("%+v", refused)
		}
	}
	named("the change of its name")
	device.takes(securityKey)
	if refused := device.addPasskey(sent); refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	if keys, refused := c.passkeys(); refused != (refusal{}) || len(keys) != 2 || keys[0].name != stored || keys[1].name != stored {
		t.Errorf("after another passkey: %+v, %+v", keys, refused)
	}
}
