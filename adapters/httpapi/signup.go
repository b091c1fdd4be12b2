package httpapi

import (
	"cmp"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

func (s *server) signUpOptions(c *fiber.Ctx) error {
	var body struct {
		Email       string `json:"email"`
		DisplayName string `json:"display_name"`
		Locale      string `json:"locale"`
		Invite      string `json:"invite"`
	}
	if err := s.decodeLimited(c, domain.RateSignUp, &body, func() string { return emailAccountName(body.Email) }); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail("email", body.Email)
	name, badName := displayName(body.DisplayName)
	locale, badLocale := domain.ParseLocale("locale", cmp.Or(body.Locale, string(locales.Match(c.Get(fiber.HeaderAcceptLanguage)))))
	if err := domain.JoinInvalid(badEmail, badName, badLocale); err != nil {
		return err
	}
	var invite domain.InviteToken
	if body.Invite != "" {
		var err error
		if invite, err = domain.ParseInviteToken(body.Invite); err != nil {
			return err
		}
	}
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.SignUp.Begin(c.UserContext(), signup.Input{Email: email, DisplayName: name, Locale: locale, Invite: invite}, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

func (s *server) signUpVerify(c *fiber.Ctx) error {
	var body struct {
		verifyRegistration
		PasskeyName string `json:"passkey_name"`
		Transport   string `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	client, badTransport := s.signInClient(c, body.Transport)
	name, badName := passkeyName("passkey_name", body.PasskeyName)
	id, binding, credential, err := body.parse(s, c, badName, badTransport)
	if err != nil {
		return err
	}
	signIn, err := s.usecases.SignUp.Finish(c.UserContext(), signup.FinishInput{
		ChallengeID: id, Binding: binding, Credential: credential, PasskeyName: name, Client: client,
	})
	if err != nil {
		return err
	}
	if signIn.User.PendingEmail() != "" {
		stateOf(c).revealsAccount = true
	}
	return s.answerSignIn(c.Status(http.StatusCreated), signIn)
}
