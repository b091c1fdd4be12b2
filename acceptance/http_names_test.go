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
	begun, rejected := c.beginSignUp(profile{name: sent})
	if rejected != (rejection{}) {
		t.Fatalf("%+v", rejected)
	}
	var session sessionResponse
	if rejected := c.call(http.MethodPost, "/v1/signup/verify", map[string]any{
		"challenge_id": begun.challengeID, "credential": device.makeCredential(begun), "passkey_name": sent,
	}, &session); rejected != (rejection{}) || session.User.DisplayName != stored {
		t.Fatalf("the sign-up: %+v, the display name %q", rejected, session.User.DisplayName)
	}
	c.csrf = session.CSRFToken
	named := func(after string) string {
		t.Helper()
		keys, rejected := c.passkeys()
		if rejected != (rejection{}) || len(keys) != 1 || keys[0].name != stored {
			t.Fatalf("after %s: %+v, %+v", after, keys, rejected)
		}
		return keys[0].id
	}
	id := named("the sign-up")
	for _, name := range []string{"Key", sent} {
		if rejected := c.renamePasskey(id, name); rejected != (rejection{}) {
			t.Fatalf("%+v", rejected)
		}
	}
	named("the change of its name")
	device.useAuthenticator(securityKey)
	if rejected := device.addPasskey(sent); rejected != (rejection{}) {
		t.Fatalf("%+v", rejected)
	}
	if keys, rejected := c.passkeys(); rejected != (rejection{}) || len(keys) != 2 || keys[0].name != stored || keys[1].name != stored {
		t.Errorf("after another passkey: %+v, %+v", keys, rejected)
	}
}
