package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// event is an entry of the caller's security log.
type event struct {
	ID        string         `json:"id"`
	Kind      string         `json:"kind"`
	At        timestamp.Time `json:"at"`
	By        string         `json:"by"`
	SessionID *string        `json:"session_id"`
	Passkey   *namedPasskey  `json:"passkey"`
	Device    *namedDevice   `json:"device"`
	Reason    *string        `json:"reason"`
	Changed   []string       `json:"changed"`
	RequestID *string        `json:"request_id"`
}

type namedPasskey struct {
	ID   string  `json:"id"`
	Name *string `json:"name"`
}

type namedDevice struct {
	Name string `json:"name"`
	IP   string `json:"ip"`
}

func (s *server) listEvents(c *fiber.Ctx, actor access.Actor) error {
	before, limit, err := page(c, domain.ParseEventID)
	if err != nil {
		return err
	}
	found, err := s.usecases.Account.Events.Execute(c.UserContext(), actor, before, limit)
	if err != nil {
		return err
	}
	items := make([]event, len(found.Events))
	for i, each := range found.Events {
		items[i] = eventOf(each)
	}
	next := ""
	if found.More {
		next = items[len(items)-1].ID
	}
	return c.JSON(list[event]{items, optional(next)})
}

func eventOf(e *domain.Event) event {
	is := e.Snapshot()
	shown := event{
		ID: is.ID.String(), Kind: string(is.Kind), At: timestamp.Of(is.At), By: string(is.By),
		Reason: optional(is.Reason), Changed: is.Changed, RequestID: optional(is.RequestID),
	}
	if shown.Changed == nil {
		shown.Changed = []string{}
	}
	if !is.SessionID.IsZero() {
		shown.SessionID = optional(is.SessionID.String())
	}
	if is.CredentialID != "" {
		shown.Passkey = &namedPasskey{is.CredentialID.String(), optional(string(is.PasskeyName))}
	}
	if is.DeviceName != "" || is.IP != "" {
		shown.Device = &namedDevice{is.DeviceName, is.IP}
	}
	return shown
}
