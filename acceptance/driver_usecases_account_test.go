package acceptance

import (
	"encoding/base64"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// asPrincipal authenticates the device's session and calls want.
func (c *useCaseAPI) asPrincipal(call func(actor identity.Principal) error) rejection {
	c.t.Helper()
	actor, err := c.principal()
	if err == nil {
		err = call(actor)
	}
	return rejectionOf(c.t, err)
}

func (c *useCaseAPI) beginStepUp() (got result[pendingCeremony]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		started, err := c.usecases.StepUp.Begin(c.context(), actor, c.binding)
		got.value = pendingCeremony{started.ChallengeID.String(), started.Options}
		return err
	})
	return got
}

func (c *useCaseAPI) finishStepUp(challengeID string, response authenticator.AuthenticationResponse) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		stepped, err := c.usecases.StepUp.Finish(c.context(), actor, stepup.FinishInput{
			ChallengeID: c.challengeID(challengeID), Binding: c.binding, Credential: c.authenticationResponse(response),
		})
		if err == nil && !stepped.Token.IsZero() {
			c.setCurrentToken(stepped.Token)
		}
		if err == nil && stepped.Tokens != nil {
			c.setTokenPair(tokenPair{stepped.Tokens.Access.Token.Reveal(), stepped.Tokens.Refresh.Reveal()})
		}
		return err
	})
}

func (c *useCaseAPI) beginAddPasskey() (got result[pendingCeremony]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		started, err := c.usecases.Passkeys.BeginAdd(c.context(), actor, c.binding)
		got.value = pendingCeremony{started.ChallengeID.String(), started.Options}
		return err
	})
	return got
}

func (c *useCaseAPI) finishAddPasskey(challengeID, name string, response authenticator.RegistrationResponse) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		parsed, err := domain.ParsePasskeyName("passkey_name", name)
		if err != nil {
			return err
		}
		_, err = c.usecases.Passkeys.FinishAdd(c.context(), actor, passkeys.FinishAddInput{
			ChallengeID: c.challengeID(challengeID), Binding: c.binding, Credential: c.registrationResponse(response), Name: parsed,
		})
		return err
	})
}

func (c *useCaseAPI) passkeys() (got result[[]shownPasskey]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		owned, err := c.usecases.Passkeys.List(c.context(), actor)
		for _, key := range owned {
			got.value = append(got.value, shownPasskey{key.ID().String(), string(key.Name()), string(key.Status())})
		}
		return err
	})
	return got
}

func (c *useCaseAPI) renamePasskey(id, name string) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		parsed, err := domain.ParsePasskeyName("name", name)
		if err != nil {
			return err
		}
		_, err = c.usecases.Passkeys.Rename(c.context(), actor, c.credentialID(id), parsed)
		return err
	})
}

func (c *useCaseAPI) removePasskey(id string) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		_, err := c.usecases.Passkeys.Remove(c.context(), actor, c.credentialID(id))
		return err
	})
}

// pageSize is so small that stories read several pages.
const pageSize = 2

func (c *useCaseAPI) sessions() (got result[[]shownSession]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		var after domain.SessionID
		for {
			page, err := c.usecases.Sessions.List(c.context(), actor, after, pageSize)
			if err != nil {
				return err
			}
			for _, session := range page.Sessions {
				after = session.ID()
				got.value = append(got.value, shownSession{session.ID().String(), session.State().Device.Name, session.ID() == actor.Session.ID()})
			}
			if !page.More {
				return nil
			}
		}
	})
	return got
}

func (c *useCaseAPI) revokeSession(id string) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		parsed, err := domain.ParseSessionID(id)
		if err != nil {
			return domain.ErrSessionNotFound
		}
		return c.usecases.Sessions.Revoke(c.context(), actor, parsed)
	})
}

func (c *useCaseAPI) revokeOtherSessions() (got result[int]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) (err error) {
		got.value, err = c.usecases.Sessions.RevokeOthers(c.context(), actor)
		return err
	})
	return got
}

func (c *useCaseAPI) changeAccount(name, address string) (got result[shownUser]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		email, badEmail := domain.ParseEmail("email", address)
		displayName, badName := domain.ParseDisplayName("display_name", name)
		if err := domain.JoinInvalid(badEmail, badName); err != nil {
			return err
		}
		changed, err := c.usecases.Account.Change(c.context(), actor, account.Patch{Email: &email, DisplayName: &displayName})
		if err == nil {
			got.value = identityOf(changed.User)
		}
		return err
	})
	return got
}

func (c *useCaseAPI) deleteAccount() rejection {
	return c.asPrincipal(func(actor identity.Principal) error { return c.usecases.Account.Delete(c.context(), actor) })
}

func (c *useCaseAPI) events() (got result[[]shownEvent]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		var before domain.EventID
		for {
			page, err := c.usecases.Account.Events(c.context(), actor, before, pageSize)
			if err != nil {
				return err
			}
			for _, event := range page.Events {
				before = event.ID()
				got.value = append(got.value, shownEvent{string(event.Kind()), event.State().Reason})
			}
			if !page.More {
				return nil
			}
		}
	})
	return got
}

func (c *useCaseAPI) useBearerTokens() { c.transport = domain.TransportBearer }

func (c *useCaseAPI) refresh(token string) result[tokenPair] {
	parsed, err := domain.ParseRefreshToken(token)
	if err != nil {
		return result[tokenPair]{rejection: rejectionOf(c.t, err)}
	}
	pair, err := c.usecases.Sessions.Refresh(c.context(), parsed, c.client())
	if err != nil {
		return result[tokenPair]{rejection: rejectionOf(c.t, err)}
	}
	return result[tokenPair]{value: tokenPair{pair.Access.Token.Reveal(), pair.Refresh.Reveal()}}
}

func (c *useCaseAPI) issueCode(returnTo, challenge, state string) (got result[string]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		issued, err := c.usecases.Authorization.Issue(c.context(), actor, authorization.Request{ReturnTo: returnTo, Challenge: challenge, State: state})
		got.value = issued.Location
		return err
	})
	return got
}

func (c *useCaseAPI) redeemCode(code, verifier, returnTo string) result[tokenPair] {
	opened, err := c.usecases.Authorization.Redeem(c.context(), authorization.Redemption{
		Code: code, Verifier: verifier, ReturnTo: returnTo, Client: identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1"},
	})
	if err != nil {
		return result[tokenPair]{rejection: rejectionOf(c.t, err)}
	}
	return result[tokenPair]{value: tokenPair{opened.Tokens.Access.Token.Reveal(), opened.Tokens.Refresh.Reveal()}}
}

func (c *useCaseAPI) tokenPair() tokenPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

func (c *useCaseAPI) setTokenPair(pair tokenPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = pair
}

// credentialID parses an id as the HTTP API does. For a malformed id it returns "", the id of no passkey.
func (c *useCaseAPI) credentialID(id string) domain.CredentialID {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	return domain.CredentialID(raw)
}

func (c *useCaseAPI) registrationResponse(response authenticator.RegistrationResponse) ports.RegistrationAnswer {
	return ports.RegistrationAnswer{
		ID: response.ID, ClientDataJSON: response.Response.ClientDataJSON, AttestationObject: response.Response.AttestationObject,
		Transports: response.Response.Transports, Attachment: response.AuthenticatorAttachment, Extensions: encode(c.t, response.ClientExtensionResults),
	}
}

func (c *useCaseAPI) authenticationResponse(response authenticator.AuthenticationResponse) ports.AuthenticationAnswer {
	return ports.AuthenticationAnswer{
		ID: response.ID, ClientDataJSON: response.Response.ClientDataJSON, AuthenticatorData: response.Response.AuthenticatorData,
		Signature: response.Response.Signature, UserHandle: response.Response.UserHandle,
		Attachment: response.AuthenticatorAttachment, Extensions: encode(c.t, response.ClientExtensionResults),
	}
}
