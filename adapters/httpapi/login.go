package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) loginOptions(c *fiber.Ctx) error {
	var body struct {
		Email string `json:"email"`
	}
	if err := s.decodeLimited(c, domain.RateLogin, &body, func() string { return emailAccountName(body.Email) }); err != nil {
		return err
	}
	email, err := domain.ParseEmail("email", body.Email)
	if err != nil {
		return err
	}
	if email != "" {
		stateOf(c).revealsAccount = true
	}
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.Login.Begin(c.UserContext(), email, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

func (s *server) loginVerify(c *fiber.Ctx) error {
	var body struct {
		verifyAuthentication
		Transport string `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	client, badTransport := s.signInClient(c, body.Transport)
	id, binding, credential, err := body.parse(s, c, badTransport)
	if err != nil {
		return err
	}
	signIn, err := s.usecases.Login.Finish(c.UserContext(), login.FinishInput{ChallengeID: id, Binding: binding, Credential: credential, Client: client})
	if err != nil {
		return err
	}
	return s.answerSignIn(c, signIn)
}
