package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

type userResponse struct {
	User    user     `json:"user"`
	Signals *signals `json:"signals,omitempty"` // present after a change
}

func (s *server) getAccount(c *fiber.Ctx, principal identity.Principal) error {
	return c.JSON(userResponse{User: userOf(principal.User)})
}

// patchAccount follows JSON Merge Patch (RFC 7396) in one respect: an absent member is unchanged, and null clears a member.
func (s *server) patchAccount(c *fiber.Ctx, principal identity.Principal) error {
	var body struct {
		Email       nullableString `json:"email"`
		DisplayName nullableString `json:"display_name"`
		Locale      nullableString `json:"locale"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	var update account.Patch
	var badEmail, badName, badLocale error
	if body.Email.present {
		var email domain.Email
		email, badEmail = domain.ParseEmail("email", body.Email.text)
		update.Email = &email
	}
	if body.DisplayName.present {
		var name domain.DisplayName
		name, badName = displayName(body.DisplayName.text)
		update.DisplayName = &name
	}
	if body.Locale.present {
		var locale domain.Locale
		locale, badLocale = domain.ParseLocale("locale", body.Locale.text)
		update.Locale = &locale
	}
	if err := domain.JoinInvalid(badEmail, badName, badLocale); err != nil {
		return err
	}
	changed, err := s.usecases.Account.Change(c.UserContext(), principal, update)
	if err != nil {
		return err
	}
	if changed.User.PendingEmail() != "" {
		stateOf(c).revealsAccount = true
	}
	if len(changed.Fields) > 0 {
		// Meaning: A user changed the members of the account that changed lists.
		s.logAccountEvent(c, principal, "account changed", slog.Any("changed", changed.Fields))
	}
	return c.JSON(userResponse{userOf(changed.User), s.signalsFor(changed.User, changed.AcceptedCredentials)})
}

func (s *server) deleteAccount(c *fiber.Ctx, principal identity.Principal) error {
	if err := s.usecases.Account.Delete(c.UserContext(), principal); err != nil {
		return err
	}
	// Meaning: A user deleted the account.
	s.logAccountEvent(c, principal, "account deleted")
	s.clearSessionCookie(c)
	return c.SendStatus(http.StatusNoContent)
}

// nullableString is a text member that may be absent, or null to clear it.
type nullableString struct {
	present bool
	text    string
}

func (s *nullableString) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case 'n':
		*s = nullableString{present: true}
	case '"':
		*s = nullableString{present: true, text: token.String()}
	default:
		return domain.Invalid("", "wrong_type", "this member must be text, or null")
	}
	return nil
}
