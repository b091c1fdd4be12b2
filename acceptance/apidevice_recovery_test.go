package acceptance

// recover redeems the claim and enrols a passkey on the authenticator at hand.
func (s *apiDevice) recover(c recoveryProof, tricks ...forgery) (shownUser, rejection) {
	s.t.Helper()
	grant, refused := s.api.redeem(c)
	if refused != (rejection{}) {
		return shownUser{}, refused
	}
	return s.registerWithGrant(grant, tricks...)
}

// registerWithGrant makes a passkey with a grant.
func (s *apiDevice) registerWithGrant(grant string, tricks ...forgery) (shownUser, rejection) {
	s.t.Helper()
	begun, refused := s.api.beginRecovery(grant)
	if refused != (rejection{}) {
		return shownUser{}, refused
	}
	return s.api.finishRecovery(grant, begun.challengeID, s.makeCredential(begun, tricks...))
}

func (s *apiDevice) recoveryFactors() (shownFactors, rejection) { return s.api.recoveryFactors() }
func (s *apiDevice) setUpTOTP() (string, rejection)             { return s.api.setUpTOTP() }
func (s *apiDevice) confirmTOTP(code string) rejection          { return s.api.confirmTOTP(code) }
func (s *apiDevice) removeTOTP() rejection                      { return s.api.removeTOTP() }
func (s *apiDevice) makeBackupCodes() ([]string, rejection)     { return s.api.makeBackupCodes() }
