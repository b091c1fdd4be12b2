package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// adminHandler handles a request of an operator's program, by the use cases that its API key may execute.
type adminHandler func(c *fiber.Ctx, usecases *admin.Service) error

// requireAPIKey authenticates the caller by the API key of the Authorization header (RFC 6750). Cookies and access tokens are not
// accepted.
func (s *server) requireAPIKey(handle adminHandler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		token, _ := bearerToken(c.Get(fiber.HeaderAuthorization))
		key, err := s.usecases.APIKeys.Authenticate(c.UserContext(), token)
		if err != nil {
			return err
		}
		stateOf(c).apiKey = key.ID()
		return handle(c, s.usecases.Admin.As(key.Operator(), s.client(c)))
	}
}

// ofUser handles a request about the user whose id is in the path. It returns domain.ErrUserNotFound for a malformed id.
func ofUser(handle func(c *fiber.Ctx, usecases *admin.Service, user domain.UserRef) error) adminHandler {
	return func(c *fiber.Ctx, usecases *admin.Service) error {
		id, err := domain.ParseUserID(c.Params("id"))
		if err != nil {
			return domain.ErrUserNotFound
		}
		return handle(c, usecases, domain.UserRef{ID: id})
	}
}

// managedUser is a user as the operator sees them.
type managedUser struct {
	user

	DisabledAt *timestamp.Time `json:"disabled_at"`
}

func managedUserOf(u *domain.User) managedUser {
	return managedUser{userOf(u), timestamp.Optional(u.DisabledAt())}
}

func (s *server) listUsers(c *fiber.Ctx, usecases *admin.Service) error {
	after, limit, badPage := parsePage(c, domain.ParseUserID)
	if err := domain.JoinInvalid(badPage, rejectDuplicateParams(c, "search")); err != nil {
		return err
	}
	if text := c.Query("search"); text != "" {
		users, err := usecases.SearchUsers(c.UserContext(), text, limit)
		if err != nil {
			return err
		}
		return answerList(c, mapSlice(users, managedUserOf), false, func(u managedUser) string { return u.ID })
	}
	users, err := usecases.ListUsers(c.UserContext(), after, limit+1)
	if err != nil {
		return err
	}
	more := len(users) > limit
	items := mapSlice(users[:min(len(users), limit)], managedUserOf)
	return answerList(c, items, more, func(u managedUser) string { return u.ID })
}

func (s *server) createUser(c *fiber.Ctx, usecases *admin.Service) error {
	var body struct {
		Email       string   `json:"email"`
		DisplayName string   `json:"display_name"`
		Locale      string   `json:"locale"`
		Groups      []string `json:"groups"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail("email", body.Email)
	name, badName := displayName(body.DisplayName)
	locale, badLocale := domain.ParseLocale("locale", body.Locale)
	groups, badGroups := parseGroups("groups", body.Groups)
	if err := domain.JoinInvalid(badEmail, badName, badLocale, badGroups); err != nil {
		return err
	}
	created, err := usecases.CreateUser(c.UserContext(), admin.UserInput{Email: email, DisplayName: name, Locale: locale, Groups: groups})
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(fiber.Map{
		"user": managedUserOf(created.User), "link": created.Link.Reveal(), "expires_at": timestamp.Of(created.ExpiresAt),
	})
}

func (s *server) showUser(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	account, err := usecases.ShowUser(c.UserContext(), ref)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{
		"user":     managedUserOf(account.User),
		"passkeys": mapSlice(account.Passkeys, s.passkeyOf),
		"sessions": mapSlice(account.Sessions, sessionDetailsOf),
		"events":   mapSlice(account.Events, managedEventOf),
	})
}

func (s *server) disableUser(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	revoked, err := usecases.DisableUser(c.UserContext(), ref)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"revoked": revoked})
}

func (s *server) enableUser(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	if err := usecases.EnableUser(c.UserContext(), ref); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) deleteUser(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	if err := usecases.DeleteUser(c.UserContext(), ref); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) addUserToGroup(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	group, err := domain.ParseGroup("group", c.Params("group"))
	if err != nil {
		return err
	}
	user, err := usecases.ChangeGroups(c.UserContext(), ref, []domain.Group{group}, nil)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"user": managedUserOf(user)})
}

func (s *server) removeUserFromGroup(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	group, err := domain.ParseGroup("group", c.Params("group"))
	if err != nil {
		return err
	}
	user, err := usecases.ChangeGroups(c.UserContext(), ref, nil, []domain.Group{group})
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"user": managedUserOf(user)})
}

func (s *server) issueRecoveryLink(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	issued, err := usecases.RecoverUser(c.UserContext(), ref)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"link": issued.Link.Reveal(), "expires_at": timestamp.Of(issued.ExpiresAt)})
}

func (s *server) revokeSessionsOfUser(c *fiber.Ctx, usecases *admin.Service, ref domain.UserRef) error {
	revoked, err := usecases.RevokeSessions(c.UserContext(), ref)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"revoked": revoked})
}

func (s *server) revokeAnySession(c *fiber.Ctx, usecases *admin.Service) error {
	id, err := domain.ParseSessionID(c.Params("id"))
	if err != nil {
		return domain.ErrSessionNotFound
	}
	if err := usecases.RevokeSession(c.UserContext(), id); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

// revokeSessionsByAddress examines a limited number of sessions; the client continues with the cursor.
func (s *server) revokeSessionsByAddress(c *fiber.Ctx, usecases *admin.Service) error {
	var body struct {
		Addresses string `json:"addresses"`
		UserID    string `json:"user_id"`
		DryRun    bool   `json:"dry_run"`
		Cursor    string `json:"cursor"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	addresses, badAddresses := domain.ParseAddressRange("addresses", body.Addresses)
	user, badUser := parseOptionalUserID("user_id", body.UserID)
	var after domain.SessionID
	var badCursor error
	if body.Cursor != "" {
		if after, badCursor = domain.ParseSessionID(body.Cursor); badCursor != nil {
			badCursor = domain.Invalid("cursor", "invalid_cursor", "send the cursor of the previous response")
		}
	}
	if err := domain.JoinInvalid(badAddresses, badUser, badCursor); err != nil {
		return err
	}
	result, err := usecases.RevokeSessionsByAddress(c.UserContext(), admin.AddressFilter{Addresses: addresses, User: user, DryRun: body.DryRun}, after)
	if err != nil {
		return err
	}
	response := fiber.Map{"matched": result.Matched, "revoked": result.Revoked, "cursor": nil}
	if result.More {
		response["cursor"] = result.Next.String()
	}
	return c.JSON(response)
}

// listAllEvents lists the events of all users, oldest first, so that a client can follow them.
func (s *server) listAllEvents(c *fiber.Ctx, usecases *admin.Service) error {
	after, limit, badPage := parsePage(c, domain.ParseEventID)
	kinds, badKind := parseEventKinds(c, domain.AllEventKinds())
	user, badUser := parseUserIDParam(c)
	if err := domain.JoinInvalid(badPage, badKind, badUser); err != nil {
		return err
	}
	found, err := usecases.ListEvents(c.UserContext(), admin.EventFilter{User: user, Kinds: kinds}, after, limit)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"items": mapSlice(found.Events, managedEventOf), "more": found.More, "cursor": found.Next.String()})
}

// parseUserIDParam returns the user of the query; zero if there is none.
func parseUserIDParam(c *fiber.Ctx) (ref domain.UserRef, err error) {
	if err := rejectDuplicateParams(c, "user_id"); err != nil {
		return ref, err
	}
	return parseOptionalUserID("user_id", c.Query("user_id"))
}

// parseOptionalUserID returns the user with the id; zero for "".
func parseOptionalUserID(field, text string) (ref domain.UserRef, err error) {
	if text == "" {
		return ref, nil
	}
	if ref.ID, err = domain.ParseUserID(text); err != nil {
		return ref, domain.Invalid(field, "invalid_id", "send the id of a user")
	}
	return ref, nil
}

// managedEvent is an event as the operator sees it.
type managedEvent struct {
	event

	UserID   *string `json:"user_id"`
	APIKeyID *string `json:"api_key_id"`
	InviteID *string `json:"invite_id"`
}

func managedEventOf(e *domain.Event) managedEvent {
	state := e.State()
	response := managedEvent{event: eventOf(e)}
	if !state.UserID.IsZero() {
		response.UserID = optional(state.UserID.String())
	}
	if !state.APIKey.IsZero() {
		response.APIKeyID = optional(state.APIKey.String())
	}
	if !state.Invite.IsZero() {
		response.InviteID = optional(state.Invite.String())
	}
	return response
}
