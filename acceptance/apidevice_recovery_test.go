package acceptance

func (d *apiDevice) recover(proof recoveryProof, forgeries ...forgery) (shownUser, rejection) {
	d.t.Helper()
	grant, rejected := d.api.redeem(proof)
	if rejected != (rejection{}) {
		return shownUser{}, rejected
	}
	return d.registerWithGrant(grant, forgeries...)
}

// registerWithGrant registers a passkey with a recovery grant.
func (d *apiDevice) registerWithGrant(grant string, forgeries ...forgery) (shownUser, rejection) {
	d.t.Helper()
	begun, rejected := d.api.beginRecovery(grant)
	if rejected != (rejection{}) {
		return shownUser{}, rejected
	}
	return d.api.finishRecovery(grant, begun.challengeID, d.makeCredential(begun, forgeries...))
}

func (d *apiDevice) recoveryFactors() (shownFactors, rejection) { return d.api.recoveryFactors() }
func (d *apiDevice) setUpTOTP() (string, rejection)             { return d.api.setUpTOTP() }
func (d *apiDevice) confirmTOTP(code string) rejection          { return d.api.confirmTOTP(code) }
func (d *apiDevice) removeTOTP() rejection                      { return d.api.removeTOTP() }
func (d *apiDevice) makeBackupCodes() ([]string, rejection)     { return d.api.makeBackupCodes() }
