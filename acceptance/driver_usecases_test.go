package acceptance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const useCaseOrigin = "http://localhost:8080"

// useCaseDriver calls the use cases directly.
type useCaseDriver struct{ usecases application.UseCases }

func newUseCaseDriver(t testing.TB, cfg config.Config, store ports.Store, clock ports.Clock) protocolDriver {
	t.Helper()
	usecases, err := bootstrap.UseCases(cfg, store, clock)
	if err != nil {
		t.Fatal(err)
	}
	return useCaseDriver{usecases}
}

func (d useCaseDriver) newDevice(t testing.TB, kind deviceKind) device {
	return &apiDevice{t: t, authenticator: authenticator.New(useCaseOrigin, kind.options()...), api: newUseCaseAPI(t, d.usecases)}
}

func newUseCaseAPI(t testing.TB, usecases application.UseCases) *useCaseAPI {
	return &useCaseAPI{t: t, usecases: usecases, binding: domain.BindTo(domain.NewSecret(rand.Text()))}
}

func (c *useCaseAPI) reconnect() api { return newUseCaseAPI(c.t, c.usecases) }

func (d useCaseDriver) purgeExpired(t testing.TB) {
	t.Helper()
	if _, err := d.usecases.Maintenance.DeleteExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (d useCaseDriver) runJobs(t testing.TB) {
	t.Helper()
	_, seen := d.usecases.Sessions.WriteLastSeen(t.Context())
	_, delivered := d.usecases.Outbox.Deliver(t.Context())
	if err := errors.Join(seen, delivered, d.usecases.SigningKeys.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func (d useCaseDriver) operator() application.UseCases { return d.usecases }

type useCaseAPI struct {
	t        testing.TB
	usecases application.UseCases
	binding  domain.Binding

	mu        sync.Mutex // a story may make concurrent calls
	transport domain.Transport
	token     domain.SessionToken
	tokens    tokenPair
}

func (c *useCaseAPI) currentToken() domain.SessionToken {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *useCaseAPI) setCurrentToken(token domain.SessionToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

func (c *useCaseAPI) context() context.Context { return c.t.Context() }

func (c *useCaseAPI) beginSignUp(user profile) result[pendingCeremony] {
	email, badEmail := domain.ParseEmail("email", user.email)
	name, badName := domain.ParseDisplayName("display_name", user.name)
	if err := domain.JoinInvalid(badEmail, badName); err != nil {
		return result[pendingCeremony]{rejection: rejectionOf(c.t, err)}
	}
	var invite domain.InviteToken
	if user.invite != "" {
		var err error
		if invite, err = domain.ParseInviteToken(user.invite); err != nil {
			return result[pendingCeremony]{rejection: rejectionOf(c.t, err)}
		}
	}
	started, err := c.usecases.SignUp.Begin(c.context(), signup.Input{Email: email, DisplayName: name, Invite: invite}, c.binding)
	return result[pendingCeremony]{pendingCeremony{started.ChallengeID.String(), started.Options}, rejectionOf(c.t, err)}
}

func (c *useCaseAPI) finishSignUp(challengeID string, response authenticator.RegistrationResponse) result[shownUser] {
	grant, err := c.usecases.SignUp.Finish(c.context(), signup.FinishInput{
		ChallengeID: c.challengeID(challengeID), Binding: c.binding, Client: c.client(),
		Credential: c.registrationResponse(response),
	})
	return c.openSession(grant, err)
}

func (c *useCaseAPI) beginSignIn(address string) result[pendingCeremony] {
	email, err := domain.ParseEmail("email", address)
	if err != nil {
		return result[pendingCeremony]{rejection: rejectionOf(c.t, err)}
	}
	started, err := c.usecases.Login.Begin(c.context(), email, c.binding)
	return result[pendingCeremony]{pendingCeremony{started.ChallengeID.String(), started.Options}, rejectionOf(c.t, err)}
}

func (c *useCaseAPI) finishSignIn(challengeID string, response authenticator.AuthenticationResponse) result[shownUser] {
	grant, err := c.usecases.Login.Finish(c.context(), login.FinishInput{
		ChallengeID: c.challengeID(challengeID), Binding: c.binding, Client: c.client(),
		Credential: c.authenticationResponse(response),
	})
	return c.openSession(grant, err)
}

func (c *useCaseAPI) openSession(grant sessions.SignIn, err error) result[shownUser] {
	if err != nil {
		return result[shownUser]{rejection: rejectionOf(c.t, err)}
	}
	c.setCurrentToken(grant.Token)
	if grant.Tokens != nil {
		c.setTokenPair(tokenPair{grant.Tokens.Access.Token.Reveal(), grant.Tokens.Refresh.Reveal()})
	}
	return result[shownUser]{value: identityOf(grant.User)}
}

func (c *useCaseAPI) whoAmI() result[shownUser] {
	actor, err := c.principal()
	if err != nil {
		return result[shownUser]{rejection: rejectionOf(c.t, err)}
	}
	return result[shownUser]{value: identityOf(actor.User)}
}

// principal authenticates the device's session, as every request does.
func (c *useCaseAPI) principal() (identity.Principal, error) {
	return c.usecases.Sessions.Authenticate(c.context(), sessions.PresentedToken{SessionToken: c.currentToken(), AccessToken: c.tokenPair().access}, c.client())
}

// signOut also deletes the token, like a browser whose cookie is cleared.
func (c *useCaseAPI) signOut() rejection {
	actor, err := c.principal()
	if err == nil {
		err = c.usecases.Sessions.SignOut(c.context(), actor)
	}
	c.setCurrentToken(domain.SessionToken{})
	return rejectionOf(c.t, err)
}

func (c *useCaseAPI) sessionToken() string { return c.currentToken().Reveal() }

func (c *useCaseAPI) setSessionToken(token string) {
	parsed, err := domain.ParseSessionToken(token)
	if err != nil {
		c.t.Fatal(err)
	}
	c.setCurrentToken(parsed)
}

func (c *useCaseAPI) client() identity.Client {
	return identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", SessionToken: c.currentToken(), Transport: c.transport}
}

func (c *useCaseAPI) challengeID(id string) domain.ChallengeID {
	parsed, err := domain.ParseChallengeID(id)
	if err != nil {
		c.t.Fatal(err)
	}
	return parsed
}

func identityOf(u *domain.User) shownUser {
	return shownUser{name: string(u.DisplayName()), email: string(u.Email())}
}

// rejectionOf returns the rejection of an error of the domain. It fails the test for any other error.
func rejectionOf(t testing.TB, err error) rejection {
	t.Helper()
	if err == nil {
		return rejection{}
	}
	var broken *domain.Error
	if !errors.As(err, &broken) {
		t.Fatal(err)
	}
	return rejection{broken.Code, domain.ReasonOf(err)}
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
