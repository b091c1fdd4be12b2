package moving

import (
	"context"
	"errors"
	"reflect"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// messages are mail that waits.
type messages struct {
	After messageID `json:"after,omitzero"` // all come after this one
	List  []message `json:"list"`           // by id
}

type message struct {
	ID        messageID `json:"id"`
	UserID    userID    `json:"user,omitzero"` // zero if it outlives its user
	To        string    `json:"to"`
	Kind      string    `json:"kind"`
	About     facts     `json:"about"`
	Code      binary    `json:"code,omitempty"` // sealed
	Attempts  int       `json:"attempts"`
	DueAt     moment    `json:"due_at"`
	ExpiresAt moment    `json:"expires_at"`
}

type facts struct {
	At          moment `json:"at,omitzero"`
	By          string `json:"by,omitempty"`
	PasskeyName string `json:"passkey_name,omitempty"`
	DeviceName  string `json:"device_name,omitempty"`
	IP          string `json:"ip,omitempty"`
}

const messagesPerLine = 500

// merge adds those that are not there and reports whether there were any.
func (r *messages) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	there, err := r.there(ctx, tx)
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

func (r message) add(ctx context.Context, tx ports.Tx) error {
	if !r.UserID.IsZero() {
		if _, err := tx.Users.ByID(ctx, r.UserID.UserID); errors.Is(err, domain.ErrUserNotFound) {
			return conflict("message %s is to user %s, who is not there; export again while no server runs", r.ID, r.UserID)
		} else if err != nil {
			return err
		}
	}
	return tx.Messages.Add(ctx, domain.RestoreMessage(r.snapshot()))
}

// there are those of the list that are in the store.
func (r *messages) there(ctx context.Context, tx ports.Tx) (map[messageID]message, error) {
	wanted := map[messageID]bool{}
	for _, m := range r.List {
		wanted[m.ID] = true
	}
	there := map[messageID]message{}
	last := r.List[len(r.List)-1].ID
	for after := r.After; ; {
		page, err := tx.Messages.List(ctx, after.MessageID, messagesPerLine)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if after = (messageID{m.ID()}); wanted[after] {
				there[after] = messageOf(m.Snapshot())
			}
		}
		if len(page) < messagesPerLine || after.String() >= last.String() {
			return there, nil
		}
	}
}

func messageOf(s domain.MessageSnapshot) message {
	return message{
		ID: messageID{s.ID}, UserID: userID{s.UserID}, To: string(s.To), Kind: string(s.Kind),
		About: facts{momentOf(s.About.At), string(s.About.By), string(s.About.PasskeyName), s.About.DeviceName, s.About.IP},
		Code:  binaryOf(s.Code), Attempts: s.Attempts, DueAt: momentOf(s.DueAt), ExpiresAt: momentOf(s.ExpiresAt),
	}
}

func (r message) snapshot() domain.MessageSnapshot {
	return domain.MessageSnapshot{
		ID: r.ID.MessageID, UserID: r.UserID.UserID, To: domain.Email(r.To), Kind: domain.MessageKind(r.Kind),
		About: domain.MessageFacts{
			At: r.About.At.Time, By: domain.Party(r.About.By), PasskeyName: domain.PasskeyName(r.About.PasskeyName),
			DeviceName: r.About.DeviceName, IP: r.About.IP,
		},
		Code: r.Code, Attempts: r.Attempts, DueAt: r.DueAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}
