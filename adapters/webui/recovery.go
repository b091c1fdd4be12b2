package webui

import "github.com/keylodge/keylodge/domain"

// RecoveryURL returns a function that builds the address of the page that redeems a recovery grant. The token is in the fragment, which
// browsers do not send to the server.
func RecoveryURL(issuer string) func(domain.RecoveryGrantToken) domain.Secret {
	return func(token domain.RecoveryGrantToken) domain.Secret {
		return domain.NewSecret(issuer + "/#recover=" + token.Reveal())
	}
}
