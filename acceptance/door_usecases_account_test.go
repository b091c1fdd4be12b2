package acceptance

import (
	"encoding/base64"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// do is what an actor wants done, if they are let in.
func (c *directConnection) do(want func(actor access.Actor) error) refusal {
	c.t.Helper()
	actor, err := c.actor()
	if err == nil {
		err = want(actor)
	}
	return refusalOf(c.t, err)
}

func (c *directConnection) beginStepUp() (begun attempt, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		started, err := c.usecases.StepUp.Begin.Execute(c.context(), actor, c.browser)
		begun = attempt{started.ChallengeID.String(), started.Options}
		return err
	})
	return begun, refused
}

func (c *directConnection) finishStepUp(challengeID string, answer authenticator.AuthenticationResponse) refusal {
	return c.do(func(actor access.Actor) error {
		stepped, err := c.usecases.StepUp.Finish.Execute(c.context(), actor, stepup.Answer{
			ChallengeID: c.challenge(challengeID), Binding: c.browser, Credential: c.authenticationAnswer(answer),
		})
		if err == nil && !stepped.Token.IsZero() {
			c.keep(stepped.Token)
		}
		if err == nil && stepped.Tokens != nil {
			c.bringsTokens(tokenPair{stepped.Tokens.Access.Token.Reveal(), stepped.Tokens.Refresh.Reveal()})
		}
		return err
	})
}

func (c *directConnection) beginAddPasskey() (begun attempt, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		started, err := c.usecases.Passkeys.BeginAdd.Execute(c.context(), actor, c.browser)
		begun = attempt{started.ChallengeID.String(), started.Options}
		return err
	})
	return begun, refused
}

func (c *directConnection) finishAddPasskey(challengeID, name string, answer authenticator.RegistrationResponse) refusal {
	return c.do(func(actor access.Actor) error {
		parsed, err := domain.ParsePasskeyName("passkey_name", name)
		if err != nil {
			return err
		}
		_, err = c.usecases.Passkeys.FinishAdd.Execute(c.context(), actor, passkeys.Answer{
			ChallengeID: c.challenge(challengeID), Binding: c.browser, Credential: c.registrationAnswer(answer), Name: parsed,
		})
		return err
	})
}

func (c *directConnection) passkeys() (shown []shownPasskey, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		owned, err := c.usecases.Passkeys.List.Execute(c.context(), actor)
		for _, key := range owned {
			shown = append(shown, shownPasskey{key.ID().String(), string(key.Name()), string(key.Status())})
		}
		return err
	})
	return shown, refused
}

func (c *directConnection) renamePasskey(id, name string) refusal {
	return c.do(func(actor access.Actor) error {
		parsed, err := domain.ParsePasskeyName("name", name)
		if err != nil {
			return err
		}
		_, err = c.usecases.Passkeys.Rename.Execute(c.context(), actor, c.credential(id), parsed)
		return err
	})
}

func (c *directConnection) removePasskey(id string) refusal {
	return c.do(func(actor access.Actor) error {
		_, err := c.usecases.Passkeys.Remove.Execute(c.context(), actor, c.credential(id))
		return err
	})
}

// smallPage makes stories turn pages.
const smallPage = 2

func (c *directConnection) sessions() (shown []shownSession, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		var after domain.SessionID
		for {
			page, err := c.usecases.Sessions.List.Execute(c.context(), actor, after, smallPage)
			if err != nil {
				return err
			}
			for _, session := range page.Sessions {
				after = session.ID()
				shown = append(shown, shownSession{session.ID().String(), session.Snapshot().Device.Name, session.ID() == actor.Session.ID()})
			}
			if !page.More {
				return nil
			}
		}
	})
	return shown, refused
}

func (c *directConnection) revokeSession(id string) refusal {
	return c.do(func(actor access.Actor) error {
		parsed, err := domain.ParseSessionID(id)
		if err != nil {
			return domain.ErrSessionNotFound
		}
		return c.usecases.Sessions.Revoke.Execute(c.context(), actor, parsed)
	})
}

func (c *directConnection) revokeOtherSessions() (ended int, refused refusal) {
	refused = c.do(func(actor access.Actor) (err error) {
		ended, err = c.usecases.Sessions.RevokeOthers.Execute(c.context(), actor)
		return err
	})
	return ended, refused
}

func (c *directConnection) changeAccount(name, address string) (who identity, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		email, badEmail := domain.ParseEmail(address)
		displayName, badName := domain.ParseDisplayName(name)
		if err := domain.Collect(badEmail, badName); err != nil {
			return err
		}
		changed, err := c.usecases.Account.Change.Execute(c.context(), actor, account.Wish{Email: &email, DisplayName: &displayName})
		if err == nil {
			who = identityOf(changed.User)
		}
		return err
	})
	return who, refused
}

func (c *directConnection) deleteAccount() refusal {
	return c.do(func(actor access.Actor) error { return c.usecases.Account.Delete.Execute(c.context(), actor) })
}

func (c *directConnection) events() (shown []shownEvent, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		var before domain.EventID
		for {
			page, err := c.usecases.Account.Events.Execute(c.context(), actor, before, smallPage)
			if err != nil {
				return err
			}
			for _, event := range page.Events {
				before = event.ID()
				shown = append(shown, shownEvent{string(event.Kind()), event.Snapshot().Reason})
			}
			if !page.More {
				return nil
			}
		}
	})
	return shown, refused
}

func (c *directConnection) becomesProgram() { c.transport = domain.TransportBearer }

func (c *directConnection) refreshWith(token string) (tokenPair, refusal) {
	parsed, err := domain.ParseRefreshToken(token)
	if err != nil {
		return tokenPair{}, refusalOf(c.t, err)
	}
	pair, err := c.usecases.Sessions.Refresh.Execute(c.context(), parsed, c.visitor())
	if err != nil {
		return tokenPair{}, refusalOf(c.t, err)
	}
	return tokenPair{pair.Access.Token.Reveal(), pair.Refresh.Reveal()}, refusal{}
}

func (c *directConnection) keepsTokens() tokenPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

func (c *directConnection) bringsTokens(pair tokenPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = pair
}

// credential reads an id as the transport would. One that is none is an id that nobody has.
func (c *directConnection) credential(id string) domain.CredentialID {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	return domain.CredentialID(raw)
}

func (c *directConnection) registrationAnswer(answer authenticator.RegistrationResponse) ports.RegistrationAnswer {
	return ports.RegistrationAnswer{
		ID: answer.ID, ClientDataJSON: answer.Response.ClientDataJSON, AttestationObject: answer.Response.AttestationObject,
		Transports: answer.Response.Transports, Attachment: answer.AuthenticatorAttachment, Extensions: encode(c.t, answer.ClientExtensionResults),
	}
}

func (c *directConnection) authenticationAnswer(answer authenticator.AuthenticationResponse) ports.AuthenticationAnswer {
	return ports.AuthenticationAnswer{
		ID: answer.ID, ClientDataJSON: answer.Response.ClientDataJSON, AuthenticatorData: answer.Response.AuthenticatorData,
		Signature: answer.Response.Signature, UserHandle: answer.Response.UserHandle,
		Attachment: answer.AuthenticatorAttachment, Extensions: encode(c.t, answer.ClientExtensionResults),
	}
}
