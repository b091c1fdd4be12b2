package acceptance

import (
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// Every operation with a name stores it in Unicode Normalization Form C.
func TestNames_AreStoredComposed(t *testing.T) {
	t.Parallel()
	const sent, stored = "Rene\u0301", "Ren\u00e9"
	s := startServer(t, newClock(), nil)
	device := httpDriver{s}.newDevice(t, phone).(*apiDevice)
	c := device.api.(*httpAPI)
	begun := c.beginSignUp(profile{name: sent}).must(t)
	name := sent
	request := client.SignUpVerifyRequest{ChallengeID: begun.challengeID, Credential: device.makeCredential(begun), PasskeyName: &name}
	if session, err := c.FinishSignUp(request); err != nil || session.User.DisplayName != stored {
		t.Fatalf("sign-up: %v, display name %q", err, session.User.DisplayName)
	}
	named := func(after string) string {
		t.Helper()
		keys := c.passkeys().must(t)
		if len(keys) != 1 || keys[0].name != stored {
			t.Fatalf("after %s: %+v", after, keys)
		}
		return keys[0].id
	}
	id := named("sign-up")
	for _, name := range []string{"Key", sent} {
		if rejected := c.renamePasskey(id, name); rejected != (rejection{}) {
			t.Fatalf("rejected: %+v", rejected)
		}
	}
	named("renaming")
	device.useAuthenticator(securityKey)
	if rejected := device.addPasskey(sent); rejected != (rejection{}) {
		t.Fatalf("rejected: %+v", rejected)
	}
	if keys := c.passkeys().must(t); len(keys) != 2 || keys[0].name != stored || keys[1].name != stored {
		t.Errorf("after adding a passkey: %+v", keys)
	}
}
