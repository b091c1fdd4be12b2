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
	email, err := s.decodeLogin(c, &body, &body.Email)
	if err != nil {
		return err
	}
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.Login.Begin(c.UserContext(), email, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

// decodeLogin decodes the body of a request that begins a sign-in, within the rate limit, and returns the address in it; "" if the
// request names no account. email points to the member of the body.
func (s *server) decodeLogin(c *fiber.Ctx, body any, email *string) (domain.Email, error) {
	if err := s.decodeLimited(c, domain.RateLogin, body, func() string { return emailAccountName(*email) }); err != nil {
		return "", err
	}
	address, err := domain.ParseEmail("email", *email)
	if address != "" {
		stateOf(c).revealsAccount = true
	}
	return address, err
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
