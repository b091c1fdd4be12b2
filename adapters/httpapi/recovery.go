package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// redeem takes recovery codes. A name that cannot be one is answered like one that nobody has: whoever writes an address
// wrongly is told that in the same words as whoever guesses.
func (s *server) redeem(c *fiber.Ctx) error {
	var body struct {
		Email      string `json:"email"`
		UserID     string `json:"user_id"`
		TOTPCode   string `json:"totp_code"`
		BackupCode string `json:"backup_code"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail(body.Email)
	var id domain.UserID
	var badID error
	if body.UserID != "" && body.Email == "" {
		if id, badID = domain.ParseUserID(body.UserID); badID != nil {
			badID = domain.Invalid("user_id", "invalid_id", "this is not a user's id")
		}
	}
	if err := domain.JoinInvalid(badEmail, badID); err != nil {
		return err
	}
	granted, err := s.usecases.Recovery.Redeem.Execute(c.UserContext(), recovery.Proof{
		User: recovery.UserRef{Email: email, ID: id}, TOTPCode: body.TOTPCode, BackupCode: body.BackupCode,
	}, s.client(c))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		GrantToken string         `json:"grant_token"`
		ExpiresAt  timestamp.Time `json:"expires_at"`
	}{granted.Token.Reveal(), timestamp.Of(granted.ExpiresAt)})
}

func (s *server) recoveryOptions(c *fiber.Ctx) error {
	var body struct {
		GrantToken string `json:"grant_token"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	token, err := parseGrantToken(body.GrantToken)
	if err != nil {
		return err
	}
	by := s.ceremonyBrowser(c)
	started, err := s.usecases.Recovery.Begin.Execute(c.UserContext(), token, by.binding)
	if err != nil {
		return err
	}
	return s.renderOptions(c, by, started)
}

func (s *server) recoveryVerify(c *fiber.Ctx) error {
	var body struct {
		GrantToken  string         `json:"grant_token"`
		ChallengeID string         `json:"challenge_id"`
		Credential  jsontext.Value `json:"credential"`
		Transport   string         `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, badID := parseChallengeID(body.ChallengeID)
	visitor, badTransport := s.signInClient(c, body.Transport)
	credential, badCredential := readCredential[registrationCredential](body.Credential)
	if err := s.checkVerifyInput(c, id, badID, badCredential, badTransport); err != nil {
		return err
	}
	token, err := parseGrantToken(body.GrantToken)
	if err != nil {
		return err
	}
	entered, err := s.usecases.Recovery.Finish.Execute(c.UserContext(), recovery.FinishInput{
		Token: token, ChallengeID: id, Binding: s.cookies.binding(c, id), Credential: credential, Client: visitor,
	})
	if err != nil {
		return err
	}
	return s.renderSignIn(c.Status(http.StatusCreated), entered)
}

func parseGrantToken(s string) (domain.RecoveryGrantToken, error) {
	if s == "" {
		return domain.RecoveryGrantToken{}, requireMember("grant_token", nil)
	}
	return domain.ParseRecoveryGrantToken(s)
}
