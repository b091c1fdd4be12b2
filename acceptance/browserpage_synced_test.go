package acceptance

import "github.com/chromedp/cdproto/webauthn"

// syncedDevice returns another browser profile whose authenticator has copies of the current passkeys, as if they were synced.
func (b *browserPage) syncedDevice() device {
	b.t.Helper()
	other := browserDriver{b.server}.newDevice(b.t, b.kind).(*browserPage)
	for _, credential := range call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.authenticatorID}).Credentials {
		other.addCredential(credential)
	}
	return other
}
