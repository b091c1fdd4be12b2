package transfer

import (
	"context"
	"errors"
	"reflect"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// outboxEmails are mail that waits.
type outboxEmails struct {
	After outboxEmailID `json:"after,omitzero"` // all come after this one
	List  []outboxEmail `json:"list"`           // by id
}

type outboxEmail struct {
	ID        outboxEmailID `json:"id"`
	UserID    userID        `json:"user,omitzero"` // zero if it outlives its user
	To        string        `json:"to"`
	Kind      string        `json:"kind"`
	Details   emailDetails  `json:"about"`
	Code      binary        `json:"code,omitempty"` // sealed
	Attempts  int           `json:"attempts"`
	DueAt     jsonTime      `json:"due_at"`
	ExpiresAt jsonTime      `json:"expires_at"`
}

type emailDetails struct {
	At          jsonTime `json:"at,omitzero"`
	Actor       string   `json:"by,omitempty"`
	PasskeyName string   `json:"passkey_name,omitempty"`
	DeviceName  string   `json:"device_name,omitempty"`
	IP          string   `json:"ip,omitempty"`
}

const emailsPerLine = 500

// merge adds those that are not there and reports whether there were any.
func (r *outboxEmails) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	there, err := r.existing(ctx, tx)
	if err != nil {
		return false, err
	}
	for _, m := range r.List {
		if known, found := there[m.ID]; found {
			if !reflect.DeepEqual(known, m) {
				return false, conflict("message %s is there already and is another one, or was tried meanwhile", m.ID)
			}
			continue
		}
		if err := m.add(ctx, tx); err != nil {
			return false, err
		}
		added = true
	}
	return added, nil
}

func (r outboxEmail) add(ctx context.Context, tx ports.Tx) error {
	if !r.UserID.IsZero() {
		if _, err := tx.Users.ByID(ctx, r.UserID.UserID); errors.Is(err, domain.ErrUserNotFound) {
			return conflict("message %s is to user %s, who is not there; export again while no server runs", r.ID, r.UserID)
		} else if err != nil {
			return err
		}
	}
	return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(r.state()))
}

// existing are those of the list that are in the store.
func (r *outboxEmails) existing(ctx context.Context, tx ports.Tx) (map[outboxEmailID]outboxEmail, error) {
	wanted := map[outboxEmailID]bool{}
	for _, m := range r.List {
		wanted[m.ID] = true
	}
	there := map[outboxEmailID]outboxEmail{}
	last := r.List[len(r.List)-1].ID
	for after := r.After; ; {
		page, err := tx.OutboxEmails.List(ctx, after.OutboxEmailID, emailsPerLine)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if after = (outboxEmailID{m.ID()}); wanted[after] {
				there[after] = outboxEmailOf(m.State())
			}
		}
		if len(page) < emailsPerLine || after.String() >= last.String() {
			return there, nil
		}
	}
}

func outboxEmailOf(s domain.OutboxEmailState) outboxEmail {
	return outboxEmail{
		ID: outboxEmailID{s.ID}, UserID: userID{s.UserID}, To: string(s.To), Kind: string(s.Kind),
		Details: emailDetails{jsonTimeOf(s.Details.At), string(s.Details.Actor), string(s.Details.PasskeyName), s.Details.DeviceName, s.Details.IP},
		Code:    binaryOf(s.Code), Attempts: s.Attempts, DueAt: jsonTimeOf(s.DueAt), ExpiresAt: jsonTimeOf(s.ExpiresAt),
	}
}

func (r outboxEmail) state() domain.OutboxEmailState {
	return domain.OutboxEmailState{
		ID: r.ID.OutboxEmailID, UserID: r.UserID.UserID, To: domain.Email(r.To), Kind: domain.EmailKind(r.Kind),
		Details: domain.EmailDetails{
			At: r.Details.At.Time, Actor: domain.Actor(r.Details.Actor), PasskeyName: domain.PasskeyName(r.Details.PasskeyName),
			DeviceName: r.Details.DeviceName, IP: r.Details.IP,
		},
		Code: r.Code, Attempts: r.Attempts, DueAt: r.DueAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}
