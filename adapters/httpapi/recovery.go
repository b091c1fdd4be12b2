package httpapi

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// redeem redeems recovery codes for a recovery grant. An address without an account gets the same answer as a wrong code.
func (s *server) redeem(c *fiber.Ctx) error {
	var body struct {
		Email      string `json:"email"`
		UserID     string `json:"user_id"`
		TOTPCode   string `json:"totp_code"`
		BackupCode string `json:"backup_code"`
	}
	if err := s.decodeLimited(c, domain.RateRecovery, &body, func() string {
		return cmp.Or(emailAccountName(body.Email), strings.ToLower(body.UserID))
	}); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail("email", body.Email)
	var id domain.UserID
	var badID error
	if body.UserID != "" && body.Email == "" {
		if id, badID = domain.ParseUserID(body.UserID); badID != nil {
			badID = domain.Invalid("user_id", "invalid_id", "this is not the id of a user")
		}
	}
	if err := domain.JoinInvalid(badEmail, badID); err != nil {
		return err
	}
	grant, err := s.usecases.Recovery.Redeem(c.UserContext(), recovery.Proof{
		Fields: recovery.ProofFields{User: "email", TOTPCode: "totp_code", BackupCode: "backup_code"},
		User:   domain.UserRef{Email: email, ID: id}, TOTPCode: body.TOTPCode, BackupCode: body.BackupCode,
	}, s.client(c))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		GrantToken string         `json:"grant_token"`
		ExpiresAt  timestamp.Time `json:"expires_at"`
	}{grant.Token.Reveal(), timestamp.Of(grant.ExpiresAt)})
}

func (s *server) recoveryOptions(c *fiber.Ctx) error {
	text, err := decodeText(c, "grant_token")
	if err != nil {
		return err
	}
	token, err := domain.ParseRecoveryGrantToken(text)
	if err != nil {
		return err
	}
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.Recovery.Begin(c.UserContext(), token, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

func (s *server) recoveryVerify(c *fiber.Ctx) error {
	var body struct {
		verifyRegistration
		GrantToken string `json:"grant_token"`
		Transport  string `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	client, badTransport := s.signInClient(c, body.Transport)
	id, binding, credential, err := body.parse(s, c, badTransport)
	if err != nil {
		return err
	}
	if body.GrantToken == "" {
		return requireMember("grant_token", nil)
	}
	token, err := domain.ParseRecoveryGrantToken(body.GrantToken)
	if err != nil {
		return err
	}
	signIn, err := s.usecases.Recovery.Finish(c.UserContext(), recovery.FinishInput{
		Token: token, ChallengeID: id, Binding: binding, Credential: credential, Client: client,
	})
	if err != nil {
		return err
	}
	return s.answerSignIn(c.Status(http.StatusCreated), signIn)
}
