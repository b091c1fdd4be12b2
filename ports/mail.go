package ports

import (
	"context"

	"github.com/keylodge/keylodge/domain"
)

// Mailer sends e-mails to a mail server.
type Mailer interface {
	// Send returns nil once a server has accepted the e-mail. It returns domain.ErrUndeliverable if the recipient will never
	// accept it, domain.ErrUnavailable if no server can be reached for any e-mail, and another error if a later attempt may
	// succeed.
	Send(ctx context.Context, email OutgoingEmail) error
}

// OutgoingEmail is an e-mail to be sent, with its decrypted code.
type OutgoingEmail struct {
	Email domain.OutboxEmailState
	Code  domain.Secret // eight digits for domain.EmailKindVerificationCode, else zero
}
