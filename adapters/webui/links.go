package webui

import "github.com/keylodge/keylodge/domain"

// RecoveryURL returns a function that builds the address of the page that redeems a recovery grant. The token is in the fragment, which
// browsers do not send to the server.
func RecoveryURL(issuer string) func(domain.RecoveryGrantToken) domain.Secret {
	return func(token domain.RecoveryGrantToken) domain.Secret {
		return domain.NewSecret(issuer + "/#recover=" + token.Reveal())
	}
}

// InviteURL returns a function that builds the address of the page where a person signs up with an invite. The token is in the fragment,
// too.
func InviteURL(issuer string) func(domain.InviteToken) domain.Secret {
	return func(token domain.InviteToken) domain.Secret {
		return domain.NewSecret(issuer + "/signup#invite=" + token.Reveal())
	}
}
