package ports

import (
	"context"

	"github.com/keylodge/keylodge/domain"
)

// Mailer hands letters to a mail server.
type Mailer interface {
	// Send returns nil once a server has taken the letter over. An error that is domain.ErrUndeliverable says that no
	// server will ever take it for this recipient; one that is domain.ErrUnavailable, that no server can be talked with,
	// whatever the letter; any other, that this letter may be taken later.
	Send(ctx context.Context, letter OutgoingEmail) error
}

// OutgoingEmail is a message as it is sent, with its code in the clear.
type OutgoingEmail struct {
	Email domain.OutboxEmailState
	Code  domain.Secret // for domain.EmailKindVerificationCode: eight digits
}
