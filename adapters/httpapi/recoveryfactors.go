package httpapi

import (
	"encoding/base64"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
)

// getRecovery shows what the caller would recover with.
func (s *server) getRecovery(c *fiber.Ctx, actor identity.Principal) error {
	have, err := s.usecases.Recovery.Show.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	type totp struct {
		Enrolled    bool            `json:"enrolled"`
		ConfirmedAt *timestamp.Time `json:"confirmed_at"`
	}
	type backupCodes struct {
		Remaining   int             `json:"remaining"`
		GeneratedAt *timestamp.Time `json:"generated_at"`
	}
	return c.JSON(struct {
		TOTP        totp        `json:"totp"`
		BackupCodes backupCodes `json:"backup_codes"`
	}{
		totp{have.TOTP.Confirmed(), timestamp.Optional(have.TOTP.ConfirmedAt())},
		backupCodes{have.CodesLeft, timestamp.Optional(have.CodesGeneratedAt)},
	})
}

// setUpTOTP hands out a secret, once.
func (s *server) setUpTOTP(c *fiber.Ctx, actor identity.Principal) error {
	key, err := s.usecases.Recovery.SetUpTOTP.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Secret string `json:"secret"`
		URI    string `json:"otpauth_uri"`
		QR     string `json:"qr_png"`
	}{key.Secret.Reveal(), key.URI.Reveal(), "data:image/png;base64," + base64.StdEncoding.EncodeToString(key.QR)})
}

func (s *server) confirmTOTP(c *fiber.Ctx, actor identity.Principal) error {
	var body struct {
		Code string `json:"code"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if body.Code == "" {
		return requireMember("code", nil)
	}
	if err := s.usecases.Recovery.ConfirmTOTP.Execute(c.UserContext(), actor, body.Code); err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "authenticator app added")
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) removeTOTP(c *fiber.Ctx, actor identity.Principal) error {
	if err := s.usecases.Recovery.RemoveTOTP.Execute(c.UserContext(), actor); err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "authenticator app removed")
	return c.SendStatus(http.StatusNoContent)
}

// generateBackupCodes hands out a new set, once.
func (s *server) generateBackupCodes(c *fiber.Ctx, actor identity.Principal) error {
	made, err := s.usecases.Recovery.GenerateCodes.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "backup codes made")
	codes := make([]string, len(made))
	for i, code := range made {
		codes[i] = code.RevealFormatted()
	}
	return c.JSON(fiber.Map{"codes": codes})
}
