package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

func (c *httpAPI) beginStepUp() result[pendingCeremony] { return c.begun(c.BeginStepUp()) }

func (c *httpAPI) finishStepUp(challengeID string, response authenticator.AuthenticationResponse) rejection {
	_, err := c.FinishStepUp(client.StepUpVerifyRequest{ChallengeID: challengeID, Credential: response})
	return c.rejection(err)
}

func (c *httpAPI) beginAddPasskey() result[pendingCeremony] { return c.begun(c.BeginAddPasskey()) }

func (c *httpAPI) finishAddPasskey(challengeID, name string, response authenticator.RegistrationResponse) rejection {
	_, err := c.FinishAddPasskey(client.AddPasskeyVerifyRequest{ChallengeID: challengeID, Credential: response, PasskeyName: &name})
	return c.rejection(err)
}

func (c *httpAPI) passkeys() result[[]shownPasskey] {
	var all []shownPasskey
	passkeys, err := c.Passkeys()
	for _, p := range passkeys {
		all = append(all, shownPasskey{p.ID, p.Name, p.Status})
	}
	return result[[]shownPasskey]{all, c.rejection(err)}
}

func (c *httpAPI) renamePasskey(id, name string) rejection {
	_, err := c.RenamePasskey(id, name)
	return c.rejection(err)
}

func (c *httpAPI) removePasskey(id string) rejection { return c.rejection(c.RemovePasskey(id)) }

func (c *httpAPI) sessions() result[[]shownSession] {
	var all []shownSession
	sessions, err := c.Sessions(pageSize)
	for _, s := range sessions {
		all = append(all, shownSession{s.ID, s.Device.Name, s.Current})
	}
	return result[[]shownSession]{all, c.rejection(err)}
}

func (c *httpAPI) events() result[[]shownEvent] {
	var all []shownEvent
	events, err := c.Events(pageSize)
	for _, e := range events {
		all = append(all, shownEvent{e.Kind, e.Reason})
	}
	return result[[]shownEvent]{all, c.rejection(err)}
}

func (c *httpAPI) revokeSession(id string) rejection { return c.rejection(c.EndSession(id)) }

func (c *httpAPI) revokeOtherSessions() result[int] {
	revoked, err := c.EndOtherSessions()
	return result[int]{revoked, c.rejection(err)}
}

func (c *httpAPI) changeAccount(name, email string) result[shownUser] {
	user, err := c.ChangeAccount(client.AccountRequest{DisplayName: &name, Email: &email})
	return result[shownUser]{shown(user), c.rejection(err)}
}

func (c *httpAPI) deleteAccount() rejection { return c.rejection(c.DeleteAccount()) }

func (c *httpAPI) useBearerTokens() { c.transport = "bearer" }

func (c *httpAPI) refresh(token string) result[tokenPair] {
	tokens, err := c.Refresh(token)
	return result[tokenPair]{tokenPair{tokens.AccessToken, tokens.RefreshToken}, c.rejection(err)}
}

func (c *httpAPI) issueCode(returnTo, challenge, state string) result[string] {
	location, err := c.IssueAuthorizationCode(client.AuthorizationRequest{ReturnTo: returnTo, CodeChallenge: challenge, State: state})
	return result[string]{location, c.rejection(err)}
}

func (c *httpAPI) redeemCode(code, verifier, returnTo string) result[tokenPair] {
	opened, err := c.RedeemAuthorizationCode(client.RedemptionRequest{Code: code, CodeVerifier: verifier, ReturnTo: returnTo})
	return result[tokenPair]{tokenPair{opened.Tokens.AccessToken, opened.Tokens.RefreshToken}, c.rejection(err)}
}

func (c *httpAPI) tokenPair() tokenPair {
	tokens := c.Tokens()
	return tokenPair{tokens.AccessToken, tokens.RefreshToken}
}

func (c *httpAPI) setTokenPair(pair tokenPair) {
	c.SetTokens(client.Tokens{AccessToken: pair.access, RefreshToken: pair.refresh})
}
