package acceptance

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// After a sign-in with a passkey of another device, the page offers a passkey on this one.

// twoDevices is the browser of a user whose passkey is on another authenticator than that of this device.
type twoDevices struct {
	*browserPage
	other webauthn.AuthenticatorID
}

// openWithoutLocalPasskey signs Ada up with an authenticator of the transport, and signs her out. This device has an authenticator without
// passkeys.
func openWithoutLocalPasskey(t *testing.T, transport webauthn.AuthenticatorTransport, change func(*config.Config)) (*person, twoDevices) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), change)}.newDevice(t, phone).(*browserPage)
	call(b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: b.authenticatorID})
	b.attachAuthenticatorWith(transport)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	ada.signsOut()
	devices := twoDevices{b, b.authenticatorID}
	b.attachAuthenticator()
	return ada, devices
}

// signsInByOther signs in with the passkey of the other device, and waits for the view that follows.
func (d twoDevices) signsInByOther(next string) {
	d.t.Helper()
	d.withOther(func() {
		d.press(named("sign-in"))
		d.waitFor("the page shows "+next, fmt.Sprintf(`pageState() === %q && !busy()`, next))
	})
}

// withOther calls act while the user touches the other device, and not this one.
func (d twoDevices) withOther(act func()) {
	d.t.Helper()
	touch := func(yes bool) {
		call(d.browserPage, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: d.other, Enabled: yes})
	}
	touch(true)
	defer touch(false)
	act()
}

func TestPage_OffersLocalPasskey(t *testing.T) {
	ada, d := openWithoutLocalPasskey(t, webauthn.AuthenticatorTransportHybrid, nil)
	d.signsInByOther("local-passkey")
	d.requireFocus("h1")
	d.press(named("not-now"))
	d.waitForState("account")

	// The offer is not made again for 30 days.
	ada.signsOut()
	d.signsInByOther("account")
	declined := func(ago time.Duration) {
		t.Helper()
		ada.signsOut()
		eval[bool](d.browserPage, fmt.Sprintf(`(localStorage.setItem('keylodge-local-passkey-declined', Date.now() - %d), true)`, ago.Milliseconds()))
	}
	declined(30*24*time.Hour - time.Hour)
	d.signsInByOther("account")
	declined(30*24*time.Hour + time.Second)
	d.signsInByOther("local-passkey")

	// The other device answers too, if the browser asks it.
	d.withOther(func() {
		ada.requireOK(d.withAuthenticator(nil, func() string { return d.pressAndWait(named("local-passkey")) }))
	})
	d.waitForState("account")
	if passkeys := ada.listPasskeys(); len(passkeys) != 2 {
		t.Errorf("%d passkeys", len(passkeys))
	}
	if here := d.credentials(); len(here) != 1 {
		t.Errorf("this device has %d passkeys", len(here))
	}
	ada.signsOut()
	ada.signsIn() // with it
	if state := d.state(); state != "account" {
		t.Errorf("the page shows %s", state)
	}
}

// A user who has the passkey of a security key, or one on this device, gets no offer.
func TestPage_OffersLocalPasskey_notForSecurityKey(t *testing.T) {
	_, d := openWithoutLocalPasskey(t, webauthn.AuthenticatorTransportUsb, nil)
	d.signsInByOther("account")
}

func TestPage_OffersLocalPasskey_notWithoutAuthenticator(t *testing.T) {
	_, d := openWithoutLocalPasskey(t, webauthn.AuthenticatorTransportHybrid, nil)
	call(d.browserPage, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: d.authenticatorID})
	d.signsInByOther("account")
}

// The offer is a step before the return to an application.
func TestPage_OffersLocalPasskey_beforeReturn(t *testing.T) {
	var app string
	_, d := openWithoutLocalPasskey(t, webauthn.AuthenticatorTransportHybrid, func(c *config.Config) {
		app = newApplication(t)
		c.Applications = domain.Applications{{Origin: app, Name: "Same Site"}}
	})
	d.navigate(d.server.origin + "/login?return_to=" + app)
	d.signsInByOther("local-passkey")
	d.press(named("not-now"))
	d.waitFor("the browser is at the application", `document.title === 'The application'`)
}
