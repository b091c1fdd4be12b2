package memory

import (
	"context"
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

type totps struct{ state }

func (t totps) Get(_ context.Context, user domain.UserID) (*domain.TOTP, error) {
	s, found := t.totps[user]
	if !found {
		return domain.NewTOTP(user), nil
	}
	return domain.RestoreTOTP(s), nil
}

func (t totps) Save(_ context.Context, totp *domain.TOTP) error {
	if err := t.writable(); err != nil {
		return err
	}
	s := totp.State()
	if _, found := t.users[s.UserID]; !found {
		return fmt.Errorf("the authenticator app's user %s is not there", s.UserID)
	}
	t.totps[s.UserID] = s
	return nil
}

func (t totps) Remove(_ context.Context, user domain.UserID) error {
	if err := t.writable(); err != nil {
		return err
	}
	delete(t.totps, user)
	return nil
}
