package acceptance

import (
	"net/http"
	"testing"
)

// A name that comes as letters and accents is stored composed (Unicode Normalization Form C), by every call that takes one.
func TestNames_AreStoredComposed(t *testing.T) {
	const sent, stored = "Rene\u0301", "Ren\u00e9"
	s := startServer(t, newClock(), nil)
	device := httpDriver{s}.newDevice(t, phone).(*apiDevice)
	c := device.api.(*httpAPI)
	begun, refused := c.beginSignUp(profile{name: sent})
	if refused != (rejection{}) {
		t.Fatalf("%+v", refused)
	}
	var session sessionResponse
	if refused := c.call(http.MethodPost, "/v1/signup/verify", map[string]any{
		"challenge_id": begun.challengeID, "credential": device.makeCredential(begun), "passkey_name": sent,
	}, &session); refused != (rejection{}) || session.User.DisplayName != stored {
		t.Fatalf("the sign-up: %+v, the display name %q", refused, session.User.DisplayName)
	}
	c.csrf = session.CSRFToken
	named := func(after string) string {
		t.Helper()
		keys, refused := c.passkeys()
		if refused != (rejection{}) || len(keys) != 1 || keys[0].name != stored {
			t.Fatalf("after %s: %+v, %+v", after, keys, refused)
		}
		return keys[0].id
	}
	id := named("the sign-up")
	for _, name := range []string{"Key", sent} {
		if refused := c.renamePasskey(id, name); refused != (rejection{}) {
			t.Fatalf("%+v", refused)
		}
	}
	named("the change of its name")
	device.useAuthenticator(securityKey)
	if refused := device.addPasskey(sent); refused != (rejection{}) {
		t.Fatalf("%+v", refused)
	}
	if keys, refused := c.passkeys(); refused != (rejection{}) || len(keys) != 2 || keys[0].name != stored || keys[1].name != stored {
		t.Errorf("after another passkey: %+v, %+v", keys, refused)
	}
}
