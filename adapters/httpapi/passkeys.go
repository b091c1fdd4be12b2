package httpapi

import (
	"log/slog"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) listPasskeys(c *fiber.Ctx, actor identity.Principal) error {
	owned, err := s.usecases.Passkeys.List.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	items := make([]passkey, len(owned))
	for i, credential := range owned {
		items[i] = s.passkeyOf(credential)
	}
	return c.JSON(fiber.Map{"items": items, "signals": s.signalsFor(actor.User, owned)})
}

func (s *server) addPasskeyOptions(c *fiber.Ctx, actor identity.Principal) error {
	by := s.ceremonyBrowser(c)
	started, err := s.usecases.Passkeys.BeginAdd.Execute(c.UserContext(), actor, by.binding)
	if err != nil {
		return err
	}
	return s.renderOptions(c, by, started)
}

func (s *server) addPasskeyVerify(c *fiber.Ctx, actor identity.Principal) error {
	var body struct {
		ChallengeID string         `json:"challenge_id"`
		Credential  jsontext.Value `json:"credential"`
		PasskeyName string         `json:"passkey_name"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, badID := parseChallengeID(body.ChallengeID)
	credential, badCredential := readCredential[registrationCredential](body.Credential)
	name, badName := passkeyName("passkey_name", body.PasskeyName)
	if err := s.checkVerifyInput(c, id, badID, badCredential, badName); err != nil {
		return err
	}
	added, err := s.usecases.Passkeys.FinishAdd.Execute(c.UserContext(), actor, passkeys.FinishAddInput{
		ChallengeID: id, Binding: s.cookies.binding(c, id), Credential: credential, Name: name,
	})
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "passkey added", slog.String("passkey_id", added.Credential.ID().String()))
	return c.Status(http.StatusCreated).JSON(fiber.Map{
		"passkey": s.passkeyOf(added.Credential), "signals": s.signalsFor(added.User, added.AcceptedCredentials),
	})
}

func (s *server) renamePasskey(c *fiber.Ctx, actor identity.Principal) error {
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
	renamed, err := s.usecases.Passkeys.Rename.Execute(c.UserContext(), actor, id, name)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"passkey": s.passkeyOf(renamed)})
}

func (s *server) deletePasskey(c *fiber.Ctx, actor identity.Principal) error {
	id, err := credentialID(c)
	if err != nil {
		return err
	}
	removed, err := s.usecases.Passkeys.Remove.Execute(c.UserContext(), actor, id)
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "passkey removed", slog.String("passkey_id", id.String()))
	return c.JSON(fiber.Map{"signals": s.signalsFor(removed.User, removed.AcceptedCredentials)})
}

// credentialID reads the id in the path, which may be spelled like any binary member. An id that no passkey can have gets the same
// error as one that is not the caller's: domain.ErrPasskeyNotFound.
func credentialID(c *fiber.Ctx) (domain.CredentialID, error) {
	text, err := url.PathUnescape(c.Params("id"))
	if err != nil {
		return "", domain.ErrPasskeyNotFound
	}
	var raw binary
	if err := raw.UnmarshalText([]byte(text)); err != nil {
		return "", domain.ErrPasskeyNotFound
	}
	id, err := domain.NewCredentialID(raw)
	if err != nil {
		return "", domain.ErrPasskeyNotFound
	}
	return id, nil
}
