package acceptance

import (
	"errors"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func (s *script) stepUp(tricks ...trick) refusal {
	s.t.Helper()
	begun, refused := s.connection.beginStepUp()
	if refused != (refusal{}) {
		return refused
	}
	answer, err := s.authenticator.Get(begun.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return refusal{code: "NotAllowedError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.connection.finishStepUp(begun.challengeID, answer)
}

func (s *script) addPasskey(name string, tricks ...trick) refusal {
	s.t.Helper()
	begun, refused := s.connection.beginAddPasskey()
	if refused != (refusal{}) {
		return refused
	}
	answer, err := s.authenticator.Create(begun.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrInvalidState) {
		return refusal{code: "InvalidStateError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.connection.finishAddPasskey(begun.challengeID, name, answer)
}

func (s *script) passkeys() ([]shownPasskey, refusal)   { return s.connection.passkeys() }
func (s *script) renamePasskey(id, name string) refusal { return s.connection.renamePasskey(id, name) }
func (s *script) removePasskey(id string) refusal       { return s.connection.removePasskey(id) }
func (s *script) sessions() ([]shownSession, refusal)   { return s.connection.sessions() }
func (s *script) revokeSession(id string) refusal       { return s.connection.revokeSession(id) }
func (s *script) revokeOtherSessions() (int, refusal)   { return s.connection.revokeOtherSessions() }
func (s *script) emailStatus() (shownEmail, refusal)    { return s.connection.emailStatus() }
func (s *script) sendEmailCode() refusal                { return s.connection.sendEmailCode() }
func (s *script) confirmEmail(code string) refusal      { return s.connection.confirmEmail(code) }
func (s *script) deleteAccount() refusal                { return s.connection.deleteAccount() }
func (s *script) events() ([]shownEvent, refusal)       { return s.connection.events() }

func (s *script) changeAccount(name, email string) (identity, refusal) {
	return s.connection.changeAccount(name, email)
}

func (s *script) takes(kind deviceKind) {
	s.authenticator = authenticator.New(s.authenticator.Origin(), kind.options()...)
}

func (s *script) twin() client {
	return &script{t: s.t, connection: s.connection.anew(), authenticator: s.authenticator}
}
