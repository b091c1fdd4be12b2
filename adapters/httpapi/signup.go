package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) signUpOptions(c *fiber.Ctx) error {
	var body struct {
		Email       string `json:"email"`
		DisplayName string `json:"display_name"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail(body.Email)
	name, badName := displayName(body.DisplayName)
	if err := domain.JoinInvalid(badEmail, badName); err != nil {
		return err
	}
	by := s.ceremonyBrowser(c)
	started, err := s.usecases.SignUp.Begin.Execute(c.UserContext(), signup.Input{Email: email, DisplayName: name}, by.binding)
	if err != nil {
		return err
	}
	return s.renderOptions(c, by, started)
}

func (s *server) signUpVerify(c *fiber.Ctx) error {
	var body struct {
		ChallengeID string         `json:"challenge_id"`
		Credential  jsontext.Value `json:"credential"`
		PasskeyName string         `json:"passkey_name"`
		Transport   string         `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, badID := parseChallengeID(body.ChallengeID)
	visitor, badTransport := s.signInClient(c, body.Transport)
	credential, badCredential := readCredential[registrationCredential](body.Credential)
	name, badName := passkeyName("passkey_name", body.PasskeyName)
	if err := s.checkVerifyInput(c, id, badID, badCredential, badName, badTransport); err != nil {
		return err
	}
	grant, err := s.usecases.SignUp.Finish.Execute(c.UserContext(), signup.FinishInput{
		ChallengeID: id, Binding: s.cookies.binding(c, id), Credential: credential, PasskeyName: name, Client: visitor,
	})
	if err != nil {
		return err
	}
	if grant.User.PendingEmail() != "" {
		c.Locals(revealsAccountKey, true)
	}
	return s.renderSignIn(c.Status(http.StatusCreated), grant)
}
