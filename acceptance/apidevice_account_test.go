package acceptance

import (
	"errors"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

func (d *apiDevice) stepUp(forgeries ...forgery) rejection {
	d.t.Helper()
	begun := d.api.beginStepUp()
	if !begun.ok() {
		return begun.rejection
	}
	response, err := d.authenticator.Get(begun.value.options, variations(forgeries)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return rejection{code: "cancelled"}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishStepUp(begun.value.challengeID, response)
}

func (d *apiDevice) prepareSensitiveAction() rejection { return d.stepUp() }

func (d *apiDevice) addPasskey(name string, forgeries ...forgery) rejection {
	d.t.Helper()
	begun := d.api.beginAddPasskey()
	if !begun.ok() {
		return begun.rejection
	}
	response, err := d.authenticator.Create(begun.value.options, variations(forgeries)...)
	if errors.Is(err, authenticator.ErrInvalidState) {
		return rejection{code: "already_registered"}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api.finishAddPasskey(begun.value.challengeID, name, response)
}

func (d *apiDevice) passkeys() result[[]shownPasskey]        { return d.api.passkeys() }
func (d *apiDevice) renamePasskey(id, name string) rejection { return d.api.renamePasskey(id, name) }
func (d *apiDevice) removePasskey(id string) rejection       { return d.api.removePasskey(id) }
func (d *apiDevice) sessions() result[[]shownSession]        { return d.api.sessions() }
func (d *apiDevice) revokeSession(id string) rejection       { return d.api.revokeSession(id) }
func (d *apiDevice) revokeOtherSessions() result[int]        { return d.api.revokeOtherSessions() }
func (d *apiDevice) emailStatus() result[shownEmail]         { return d.api.emailStatus() }
func (d *apiDevice) sendEmailCode() rejection                { return d.api.sendEmailCode() }
func (d *apiDevice) confirmEmail(code string) rejection      { return d.api.confirmEmail(code) }
func (d *apiDevice) deleteAccount() rejection                { return d.api.deleteAccount() }
func (d *apiDevice) events() result[[]shownEvent]            { return d.api.events() }

func (d *apiDevice) changeAccount(name, email string) result[shownUser] {
	return d.api.changeAccount(name, email)
}

func (d *apiDevice) useAuthenticator(kind deviceKind) {
	d.authenticator = authenticator.New(d.authenticator.Origin(), kind.options()...)
}

func (d *apiDevice) syncedDevice() device {
	return &apiDevice{t: d.t, api: d.api.reconnect(), authenticator: d.authenticator}
}
