package acceptance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const useCaseOrigin = "http://localhost:8080"

// useCaseDoor executes the use cases, with nothing between.
type useCaseDoor struct{ usecases application.UseCases }

func openUseCases(t testing.TB, config bootstrap.Config, store ports.Store, clock ports.Clock) door {
	t.Helper()
	usecases, err := bootstrap.UseCases(config, store, clock)
	if err != nil {
		t.Fatal(err)
	}
	return useCaseDoor{usecases}
}

func (d useCaseDoor) client(t testing.TB, kind deviceKind) client {
	return &script{t: t, authenticator: authenticator.New(useCaseOrigin, kind.options()...), connection: connect(t, d.usecases)}
}

func connect(t testing.TB, usecases application.UseCases) *directConnection {
	return &directConnection{t: t, usecases: usecases, browser: domain.BindTo(domain.NewSecret(rand.Text()))}
}

func (c *directConnection) anew() connection { return connect(c.t, c.usecases) }

func (d useCaseDoor) sweep(t testing.TB) {
	t.Helper()
	if _, err := d.usecases.Housekeeping.Sweep.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (d useCaseDoor) settle(t testing.TB) {
	t.Helper()
	_, seen := d.usecases.Housekeeping.LastSeen.Execute(t.Context())
	_, delivered := d.usecases.Housekeeping.Deliver.Execute(t.Context())
	if err := errors.Join(seen, delivered, d.usecases.Housekeeping.KeepKeys.Execute(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func (d useCaseDoor) operator() application.UseCases { return d.usecases }

type directConnection struct {
	t        testing.TB
	usecases application.UseCases
	browser  domain.Binding

	mu        sync.Mutex // a story may answer many times at once
	transport domain.Transport
	token     domain.SessionToken
	tokens    tokenPair
}

func (c *directConnection) session() domain.SessionToken {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *directConnection) keep(token domain.SessionToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

func (c *directConnection) context() context.Context { return c.t.Context() }

func (c *directConnection) beginSignUp(who applicant) (attempt, refusal) {
	email, badEmail := domain.ParseEmail(who.email)
	name, badName := domain.ParseDisplayName(who.name)
	if err := domain.Collect(badEmail, badName); err != nil {
		return attempt{}, refusalOf(c.t, err)
	}
	started, err := c.usecases.SignUp.Begin.Execute(c.context(), signup.Application{Email: email, DisplayName: name}, c.browser)
	return attempt{started.ChallengeID.String(), started.Options}, refusalOf(c.t, err)
}

func (c *directConnection) finishSignUp(challengeID string, answer authenticator.RegistrationResponse) (identity, refusal) {
	grant, err := c.usecases.SignUp.Finish.Execute(c.context(), signup.Answer{
		ChallengeID: c.challenge(challengeID), Binding: c.browser, Visitor: c.visitor(),
		Credential: c.registrationAnswer(answer),
	})
	return c.enter(grant, err)
}

func (c *directConnection) beginSignIn(address string) (attempt, refusal) {
	email, err := domain.ParseEmail(address)
	if err != nil {
		return attempt{}, refusalOf(c.t, err)
	}
	started, err := c.usecases.Login.Begin.Execute(c.context(), email, c.browser)
	return attempt{started.ChallengeID.String(), started.Options}, refusalOf(c.t, err)
}

func (c *directConnection) finishSignIn(challengeID string, answer authenticator.AuthenticationResponse) (identity, refusal) {
	grant, err := c.usecases.Login.Finish.Execute(c.context(), login.Answer{
		ChallengeID: c.challenge(challengeID), Binding: c.browser, Visitor: c.visitor(),
		Credential: c.authenticationAnswer(answer),
	})
	return c.enter(grant, err)
}

func (c *directConnection) enter(grant access.Grant, err error) (identity, refusal) {
	if err != nil {
		return identity{}, refusalOf(c.t, err)
	}
	c.keep(grant.Token)
	if grant.Tokens != nil {
		c.bringsTokens(tokenPair{grant.Tokens.Access.Token.Reveal(), grant.Tokens.Refresh.Reveal()})
	}
	return identityOf(grant.User), refusal{}
}

func (c *directConnection) whoAmI() (identity, refusal) {
	actor, err := c.actor()
	if err != nil {
		return identity{}, refusalOf(c.t, err)
	}
	return identityOf(actor.User), refusal{}
}

// actor is who the connection's holder is, as every request finds out anew.
func (c *directConnection) actor() (access.Actor, error) {
	return c.usecases.Sessions.Authenticate.Execute(c.context(), sessions.Proof{Session: c.session(), Access: c.keepsTokens().access}, c.visitor())
}

// signOut drops the token as well, like a browser whose cookie is cleared.
func (c *directConnection) signOut() refusal {
	actor, err := c.actor()
	if err == nil {
		err = c.usecases.Sessions.SignOut.Execute(c.context(), actor)
	}
	c.keep(domain.SessionToken{})
	return refusalOf(c.t, err)
}

func (c *directConnection) keepsToken() string { return c.session().Reveal() }

func (c *directConnection) bringsToken(token string) {
	parsed, err := domain.ParseSessionToken(token)
	if err != nil {
		c.t.Fatal(err)
	}
	c.keep(parsed)
}

func (c *directConnection) visitor() access.Visitor {
	return access.Visitor{UserAgent: "curl/8.5.0", IP: "127.0.0.1", Session: c.session(), Transport: c.transport}
}

func (c *directConnection) challenge(id string) domain.ChallengeID {
	parsed, err := domain.ParseChallengeID(id)
	if err != nil {
		c.t.Fatal(err)
	}
	return parsed
}

func identityOf(u *domain.User) identity {
	return identity{name: string(u.DisplayName()), email: string(u.Email())}
}

// refusalOf fails the story for an error that is no rule of the product.
func refusalOf(t testing.TB, err error) refusal {
	t.Helper()
	if err == nil {
		return refusal{}
	}
	var broken *domain.Error
	if !errors.As(err, &broken) {
		t.Fatal(err)
	}
	return refusal{broken.Code, domain.ReasonOf(err)}
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
