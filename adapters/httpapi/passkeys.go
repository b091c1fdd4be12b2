package httpapi

import (
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/domain"
)

type passkeysResponse struct {
	Items   []passkey `json:"items"`
	Signals *signals  `json:"signals"`
}

type passkeyResponse struct {
	Passkey *passkey `json:"passkey,omitempty"` // absent after a removal
	Signals *signals `json:"signals,omitempty"` // absent after a rename
}

func (s *server) listPasskeys(c *fiber.Ctx, principal identity.Principal) error {
	owned, err := s.usecases.Passkeys.List(c.UserContext(), principal)
	if err != nil {
		return err
	}
	return c.JSON(passkeysResponse{mapSlice(owned, s.passkeyOf), s.signalsFor(principal.User, owned)})
}

func (s *server) addPasskeyOptions(c *fiber.Ctx, principal identity.Principal) error {
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.Passkeys.BeginAdd(c.UserContext(), principal, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

func (s *server) addPasskeyVerify(c *fiber.Ctx, principal identity.Principal) error {
	var body struct {
		verifyRegistration
		PasskeyName string `json:"passkey_name"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	name, badName := passkeyName("passkey_name", body.PasskeyName)
	id, binding, credential, err := body.parse(s, c, badName)
	if err != nil {
		return err
	}
	added, err := s.usecases.Passkeys.FinishAdd(c.UserContext(), principal, passkeys.FinishAddInput{
		ChallengeID: id, Binding: binding, Credential: credential, Name: name,
	})
	if err != nil {
		return err
	}
	// Meaning: A user added a passkey to the account.
	s.logAccountEvent(c, principal, "passkey added", slog.String("passkey_id", added.Credential.ID().String()))
	response := s.passkeyOf(added.Credential)
	return c.Status(http.StatusCreated).JSON(passkeyResponse{&response, s.signalsFor(added.User, added.AcceptedCredentials)})
}

func (s *server) renamePasskey(c *fiber.Ctx, principal identity.Principal) error {
	var body struct {
		Name nullableString `json:"name"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if !body.Name.present {
		return requireMember("name", nil)
	}
	name, err := passkeyName("name", body.Name.text)
	if err != nil {
		return err
	}
	id, err := credentialID(c)
	if err != nil {
		return err
	}
	renamed, err := s.usecases.Passkeys.Rename(c.UserContext(), principal, id, name)
	if err != nil {
		return err
	}
	response := s.passkeyOf(renamed)
	return c.JSON(passkeyResponse{Passkey: &response})
}

func (s *server) deletePasskey(c *fiber.Ctx, principal identity.Principal) error {
	id, err := credentialID(c)
	if err != nil {
		return err
	}
	removed, err := s.usecases.Passkeys.Remove(c.UserContext(), principal, id)
	if err != nil {
		return err
	}
	// Meaning: A user removed a passkey, which revoked the other sessions that it opened.
	s.logAccountEvent(c, principal, "passkey removed", slog.String("passkey_id", id.String()))
	return c.JSON(passkeyResponse{Signals: s.signalsFor(removed.User, removed.AcceptedCredentials)})
}

// credentialID parses the id in the path, in the forms that a binary member accepts. An invalid id gets the same error as another
// user's passkey, domain.ErrPasskeyNotFound.
func credentialID(c *fiber.Ctx) (domain.CredentialID, error) {
	var raw binary
	text, err := url.PathUnescape(c.Params("id"))
	if err == nil {
		err = raw.UnmarshalText([]byte(text))
	}
	id, badID := domain.NewCredentialID(raw)
	if err != nil || badID != nil {
		return "", domain.ErrPasskeyNotFound
	}
	return id, nil
}
