package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
)

// issueAuthorizationCode answers with the address that returns the user to an application.
func (s *server) issueAuthorizationCode(c *fiber.Ctx, principal identity.Principal) error {
	var body struct {
		ReturnTo      string `json:"return_to"`
		CodeChallenge string `json:"code_challenge"`
		State         string `json:"state"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	issued, err := s.usecases.Authorization.Issue(c.UserContext(), principal, authorization.Request{
		ReturnTo: body.ReturnTo, Challenge: body.CodeChallenge, State: body.State,
	})
	if err != nil {
		return err
	}
	// Meaning: The page sent a user back to an application, with an authorization code.
	s.logAccountEvent(c, principal, "authorization code issued")
	return c.Status(http.StatusCreated).JSON(struct {
		Location  string         `json:"location"`
		ExpiresAt timestamp.Time `json:"expires_at"`
	}{issued.Location, timestamp.Of(issued.ExpiresAt)})
}

// redeemAuthorizationCode answers an application with the tokens of its session.
func (s *server) redeemAuthorizationCode(c *fiber.Ctx) error {
	var body struct {
		Code         string `json:"code"`
		CodeVerifier string `json:"code_verifier"`
		ReturnTo     string `json:"return_to"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	signIn, err := s.usecases.Authorization.Redeem(c.UserContext(), authorization.Redemption{
		Code: body.Code, Verifier: body.CodeVerifier, ReturnTo: body.ReturnTo, Client: s.client(c),
	})
	if err != nil {
		return err
	}
	principal := identity.Principal{User: signIn.User, Session: signIn.Session}
	// Meaning: An application redeemed an authorization code, which opened a session.
	s.logAccountEvent(c, principal, "authorization code redeemed")
	return c.JSON(struct {
		User    user       `json:"user"`
		Session session    `json:"session"`
		Tokens  *tokenPair `json:"tokens"`
	}{userOf(signIn.User), sessionOf(signIn.Session, principal), tokensOf(signIn.Tokens)})
}
