package acceptance

import "github.com/chromedp/cdproto/webauthn"

// syncedDevice is another profile whose authenticator holds copies of the passkeys at hand, as synced ones are copied.
func (b *browserPage) syncedDevice() device {
	b.t.Helper()
	other := browserDriver{b.server}.newDevice(b.t, b.kind).(*browserPage)
	for _, held := range call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.authenticatorID}).Credentials {
		other.addCredential(held)
	}
	return other
}
