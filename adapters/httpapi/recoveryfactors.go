package httpapi

import (
	"encoding/base64"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// getRecovery returns the recovery factors of the account.
func (s *server) getRecovery(c *fiber.Ctx, principal identity.Principal) error {
	factors, err := s.usecases.Recovery.Show(c.UserContext(), principal)
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
		totp{factors.TOTP.Confirmed(), timestamp.Optional(factors.TOTP.ConfirmedAt())},
		backupCodes{factors.CodesLeft, timestamp.Optional(factors.CodesGeneratedAt)},
	})
}

// setUpTOTP returns a new TOTP secret. It cannot be read again.
func (s *server) setUpTOTP(c *fiber.Ctx, principal identity.Principal) error {
	key, err := s.usecases.Recovery.SetUpTOTP(c.UserContext(), principal)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Secret string `json:"secret"`
		URI    string `json:"otpauth_uri"`
		QR     string `json:"qr_png"`
	}{key.Secret.Reveal(), key.URI.Reveal(), "data:image/png;base64," + base64.StdEncoding.EncodeToString(key.QR)})
}

func (s *server) confirmTOTP(c *fiber.Ctx, principal identity.Principal) error {
	code, err := decodeText(c, "code")
	if err != nil {
		return err
	}
	if err := s.usecases.Recovery.ConfirmTOTP(c.UserContext(), principal, code); err != nil {
		return err
	}
	// Meaning: A user confirmed an authenticator app as a recovery factor.
	s.logAccountEvent(c, principal, "authenticator app added")
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) removeTOTP(c *fiber.Ctx, principal identity.Principal) error {
	if err := s.usecases.Recovery.RemoveTOTP(c.UserContext(), principal); err != nil {
		return err
	}
	// Meaning: A user removed the authenticator app.
	s.logAccountEvent(c, principal, "authenticator app removed")
	return c.SendStatus(http.StatusNoContent)
}

// generateBackupCodes returns a new set of codes. It cannot be read again.
func (s *server) generateBackupCodes(c *fiber.Ctx, principal identity.Principal) error {
	codes, err := s.usecases.Recovery.GenerateCodes(c.UserContext(), principal)
	if err != nil {
		return err
	}
	// Meaning: A user generated backup codes. Earlier codes are invalid.
	s.logAccountEvent(c, principal, "backup codes generated")
	return c.JSON(fiber.Map{"codes": mapSlice(codes, domain.BackupCode.RevealFormatted)})
}
