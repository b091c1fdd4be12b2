package acceptance

import "github.com/chromedp/cdproto/webauthn"

// twin is another profile whose authenticator holds copies of the passkeys at hand, as synced ones are copied.
func (b *tab) twin() client {
	b.t.Helper()
	other := browserDoor{b.server}.client(b.t, b.kind).(*tab)
	for _, held := range call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.keys}).Credentials {
		other.gives(held)
	}
	return other
}
