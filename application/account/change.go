package account

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Patch lists the changes of an account: a nil field is unchanged, an empty value removes the field.
type Patch struct {
	Email       *domain.Email
	DisplayName *domain.DisplayName
	Locale      *domain.Locale
}

// Changed is the account after a change, with its passkeys, whose names in password managers the client updates.
type Changed struct {
	User                *domain.User
	AcceptedCredentials domain.Passkeys
	Fields              []string // the fields that changed
}

// Names of fields in Changed and in events of kind domain.EventAccountChanged.
const (
	fieldDisplayName  = "display_name"
	fieldEmail        = "email"
	fieldPendingEmail = "pending_email"
	fieldLocale       = "locale"
)

// Change changes the display name, the e-mail address or the language. If the server sends e-mail, the new address is pending until its code is
// confirmed. Change returns domain.ErrStepUpRequired for another address without recent authentication, domain.ErrEmailTaken if the
// server sends no e-mail (else that would reveal an account), and a *domain.RetryAfterError if too many codes were sent to the
// address.
func (s *Service) Change(ctx context.Context, principal identity.Principal, patch Patch) (changed Changed, err error) {
	now := s.Clock.Now()
	var code emailverify.PendingCode
	if s.EmailVerification.Policy.Enabled() && patch.Email != nil && *patch.Email != "" {
		if code, err = s.EmailVerification.GenerateCode(principal.User.ID(), now); err != nil {
			return Changed{}, err
		}
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if patch.Email != nil && *patch.Email != principal.User.Email() {
			// The address receives notifications and identifies the account in recovery (OWASP ASVS 5.0, 7.5.1).
			if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
				return err
			}
		}
		before := domain.RestoreUser(principal.User.State())
		changed = Changed{User: principal.User}
		if changed.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, principal.User.ID()); err != nil {
			return err
		}
		if patch.DisplayName != nil && principal.User.Rename(*patch.DisplayName) {
			changed.Fields = append(changed.Fields, fieldDisplayName)
		}
		if patch.Locale != nil && principal.User.SetLocale(*patch.Locale) {
			changed.Fields = append(changed.Fields, fieldLocale)
		}
		email, fields, err := s.changeEmail(ctx, tx, principal.User, patch.Email, code, now)
		if err != nil {
			return err
		}
		if changed.Fields = append(changed.Fields, fields...); len(changed.Fields) == 0 {
			return nil
		}
		if err := tx.Users.Save(ctx, principal.User); err != nil {
			return err
		}
		if email != nil {
			if err := tx.OutboxEmails.Add(ctx, email); err != nil {
				return err
			}
		}
		return s.recordChange(ctx, tx, principal, before, changed.Fields, now)
	})
	return changed, err
}

// changeEmail returns the fields that changed, and the e-mail with the verification code if one is due.
func (s *Service) changeEmail(ctx context.Context, tx ports.Tx, user *domain.User, to *domain.Email, code emailverify.PendingCode, now time.Time) (*domain.OutboxEmail, []string, error) {
	sendsEmail := s.EmailVerification.Policy.Enabled()
	switch {
	case to == nil, sendsEmail && *to != "" && *to == user.PendingEmail():
		return nil, nil, nil
	case sendsEmail && *to != "" && *to != user.Email():
		email, err := s.EmailVerification.Request(ctx, tx, user, *to, code, now)
		return email, []string{fieldPendingEmail}, err
	}
	var fields []string
	if user.SetEmail(*to) {
		fields = append(fields, fieldEmail)
	}
	if user.CancelEmailRequest() {
		fields = append(fields, fieldPendingEmail)
	}
	return nil, fields, nil
}

// recordChange records the event, and notifies the previous address if the account no longer has it.
func (s *Service) recordChange(ctx context.Context, tx ports.Tx, principal identity.Principal, before *domain.User, fields []string, now time.Time) error {
	e := domain.EventState{Kind: domain.EventAccountChanged, UserID: principal.User.ID(), SessionID: principal.Session.ID(), Changed: fields}
	if err := s.Audit.Record(ctx, tx, principal.Client, now, e); err != nil {
		return err
	}
	if before.Email() == principal.User.Email() {
		return nil
	}
	kind := domain.EmailKindAddressChanged
	if principal.User.Email() == "" {
		kind = domain.EmailKindAddressRemoved
	}
	return s.Notifier.Queue(ctx, tx, before, principal.User.ID(), kind, principal.Client, e, now)
}
