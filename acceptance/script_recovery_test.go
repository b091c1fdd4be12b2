package acceptance

// recover redeems the claim and enrols a passkey on the authenticator at hand.
func (s *script) recover(c claim, tricks ...trick) (identity, refusal) {
	s.t.Helper()
	grant, refused := s.connection.redeem(c)
	if refused != (refusal{}) {
		return identity{}, refused
	}
	return s.enrols(grant, tricks...)
}

// enrols makes a passkey with a grant.
func (s *script) enrols(grant string, tricks ...trick) (identity, refusal) {
	s.t.Helper()
	begun, refused := s.connection.beginRecovery(grant)
	if refused != (refusal{}) {
		return identity{}, refused
	}
	return s.connection.finishRecovery(grant, begun.challengeID, s.makes(begun, tricks...))
}

func (s *script) recoveryFactors() (shownFactors, refusal) { return s.connection.recoveryFactors() }
func (s *script) setUpTOTP() (string, refusal)             { return s.connection.setUpTOTP() }
func (s *script) confirmTOTP(code string) refusal          { return s.connection.confirmTOTP(code) }
func (s *script) removeTOTP() refusal                      { return s.connection.removeTOTP() }
func (s *script) makeBackupCodes() ([]string, refusal)     { return s.connection.makeBackupCodes() }
