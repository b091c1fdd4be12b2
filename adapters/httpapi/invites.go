package httpapi

import (
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

type invite struct {
	ID        string          `json:"id"`
	Status    string          `json:"status"`
	Email     *string         `json:"email"`
	Groups    []string        `json:"groups"`
	CreatedAt timestamp.Time  `json:"created_at"`
	ExpiresAt timestamp.Time  `json:"expires_at"`
	UsedAt    *timestamp.Time `json:"used_at"`
	UserID    *string         `json:"user_id"`
	RevokedAt *timestamp.Time `json:"revoked_at"`
}

// inviteLink is an invite with its token.
type inviteLink struct {
	invite

	Token string `json:"token"`
	Link  string `json:"link"`
}

func inviteOf(i admin.Invite) invite {
	state := i.State()
	response := invite{
		ID: state.ID.String(), Status: string(i.Status), Email: optional(string(state.Email)), Groups: state.Groups.Strings(), CreatedAt: timestamp.Of(state.CreatedAt),
		ExpiresAt: timestamp.Of(state.ExpiresAt), UsedAt: timestamp.Optional(state.UsedAt), RevokedAt: timestamp.Optional(state.RevokedAt),
	}
	if !state.UserID.IsZero() {
		response.UserID = optional(state.UserID.String())
	}
	return response
}

func (s *server) createInvites(c *fiber.Ctx, usecases *admin.Service) error {
	const week = 7 * 24 * 60 * 60
	body := struct {
		Email     string   `json:"email"`
		Groups    []string `json:"groups"`
		ExpiresIn int64    `json:"expires_in"`
		Count     int      `json:"count"`
	}{ExpiresIn: week, Count: 1}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	email, badEmail := domain.ParseEmail("email", body.Email)
	groups, badGroups := parseGroups("groups", body.Groups)
	if err := domain.JoinInvalid(badEmail, badGroups); err != nil {
		return err
	}
	// A longer time than the longest would overflow.
	ttl := time.Duration(min(body.ExpiresIn, int64(domain.MaxInviteTTL/time.Second)+1)) * time.Second
	created, err := usecases.CreateInvites(c.UserContext(), admin.InviteInput{Email: email, Groups: groups, TTL: ttl, Count: body.Count})
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(fiber.Map{"items": mapSlice(created, func(i admin.InviteLink) inviteLink {
		return inviteLink{inviteOf(i.Invite), i.Token.Reveal(), i.Link.Reveal()}
	})})
}

func parseGroups(field string, texts []string) ([]domain.Group, error) {
	groups := make([]domain.Group, len(texts))
	for i, text := range texts {
		var err error
		if groups[i], err = domain.ParseGroup(field, text); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

func (s *server) listInvites(c *fiber.Ctx, usecases *admin.Service) error {
	after, limit, err := parsePage(c, domain.ParseInviteID)
	if err != nil {
		return err
	}
	found, err := usecases.ListInvites(c.UserContext(), after, limit+1)
	if err != nil {
		return err
	}
	more := len(found) > limit
	return answerList(c, mapSlice(found[:min(len(found), limit)], inviteOf), more, func(i invite) string { return i.ID })
}

func (s *server) revokeInvite(c *fiber.Ctx, usecases *admin.Service) error {
	id, err := domain.ParseInviteID(c.Params("id"))
	if err != nil {
		return domain.ErrInviteNotFound
	}
	if _, err := usecases.RevokeInvite(c.UserContext(), id); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}
