package httpapi

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// event is an entry of the user's audit log.
type event struct {
	ID        string         `json:"id"`
	Kind      string         `json:"kind"`
	At        timestamp.Time `json:"at"`
	Count     int            `json:"count"`
	LastAt    timestamp.Time `json:"last_at"`
	Actor     string         `json:"actor"`
	SessionID *string        `json:"session_id"`
	Passkey   *namedPasskey  `json:"passkey"`
	Device    *namedDevice   `json:"device"`
	Addresses []string       `json:"addresses"`
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

func (s *server) listEvents(c *fiber.Ctx, principal identity.Principal) error {
	before, limit, badPage := parsePage(c, domain.ParseEventID)
	kinds, badKind := parseEventKinds(c, domain.EventKinds)
	if err := domain.JoinInvalid(badPage, badKind); err != nil {
		return err
	}
	found, err := s.usecases.Account.Events(c.UserContext(), principal, before, limit, kinds...)
	if err != nil {
		return err
	}
	return answerList(c, mapSlice(found.Events, eventOf), found.More, func(e event) string { return e.ID })
}

// parseEventKinds parses the kinds of events to list, separated by commas, of the known ones. It returns none if all are requested.
func parseEventKinds(c *fiber.Ctx, known []domain.EventKind) ([]domain.EventKind, error) {
	if err := rejectDuplicateParams(c, "kind"); err != nil {
		return nil, err
	}
	text := c.Query("kind")
	if text == "" {
		return nil, nil
	}
	var kinds []domain.EventKind
	for name := range strings.SplitSeq(text, ",") {
		kind := domain.EventKind(name)
		if !slices.Contains(known, kind) {
			return nil, domain.Invalid("kind", "unknown_kind", "send kinds of events, separated by commas, such as passkey_added,passkey_removed")
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func eventOf(e *domain.Event) event {
	state := e.State()
	response := event{
		ID: state.ID.String(), Kind: string(state.Kind), At: timestamp.Of(state.At), Count: e.Count(), LastAt: timestamp.Of(e.LastAt()), Actor: string(state.Actor),
		Addresses: notNil(e.IPs()), Reason: optional(state.Reason), Changed: notNil(state.Changed), RequestID: optional(state.RequestID),
	}
	if !state.SessionID.IsZero() {
		response.SessionID = optional(state.SessionID.String())
	}
	if state.CredentialID != "" {
		response.Passkey = &namedPasskey{state.CredentialID.String(), optional(string(state.PasskeyName))}
	}
	if state.DeviceName != "" || state.IP != "" {
		response.Device = &namedDevice{state.DeviceName, state.IP}
	}
	return response
}
