package acceptance

import (
	"errors"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func (s *apiDevice) stepUp(tricks ...forgery) rejection {
	s.t.Helper()
	begun, refused := s.api.beginStepUp()
	if refused != (rejection{}) {
		return refused
	}
	answer, err := s.authenticator.Get(begun.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrNotAllowed) {
		return rejection{code: "NotAllowedError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.api.finishStepUp(begun.challengeID, answer)
}

func (s *apiDevice) addPasskey(name string, tricks ...forgery) rejection {
	s.t.Helper()
	begun, refused := s.api.beginAddPasskey()
	if refused != (rejection{}) {
		return refused
	}
	answer, err := s.authenticator.Create(begun.options, variations(tricks)...)
	if errors.Is(err, authenticator.ErrInvalidState) {
		return rejection{code: "InvalidStateError"}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.api.finishAddPasskey(begun.challengeID, name, answer)
}

func (s *apiDevice) passkeys() ([]shownPasskey, rejection)   { return s.api.passkeys() }
func (s *apiDevice) renamePasskey(id, name string) rejection { return s.api.renamePasskey(id, name) }
func (s *apiDevice) removePasskey(id string) rejection       { return s.api.removePasskey(id) }
func (s *apiDevice) sessions() ([]shownSession, rejection)   { return s.api.sessions() }
func (s *apiDevice) revokeSession(id string) rejection       { return s.api.revokeSession(id) }
func (s *apiDevice) revokeOtherSessions() (int, rejection)   { return s.api.revokeOtherSessions() }
func (s *apiDevice) emailStatus() (shownEmail, rejection)    { return s.api.emailStatus() }
func (s *apiDevice) sendEmailCode() rejection                { return s.api.sendEmailCode() }
func (s *apiDevice) confirmEmail(code string) rejection      { return s.api.confirmEmail(code) }
func (s *apiDevice) deleteAccount() rejection                { return s.api.deleteAccount() }
func (s *apiDevice) events() ([]shownEvent, rejection)       { return s.api.events() }

func (s *apiDevice) changeAccount(name, email string) (shownUser, rejection) {
	return s.api.changeAccount(name, email)
}

func (s *apiDevice) useAuthenticator(kind deviceKind) {
	s.authenticator = authenticator.New(s.authenticator.Origin(), kind.options()...)
}

func (s *apiDevice) syncedDevice() device {
	return &apiDevice{t: s.t, api: s.api.reconnect(), authenticator: s.authenticator}
}
