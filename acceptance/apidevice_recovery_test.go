package acceptance

func (d *apiDevice) recover(proof recoveryProof, forgeries ...forgery) result[shownUser] {
	d.t.Helper()
	granted := d.api.redeem(proof)
	if !granted.ok() {
		return result[shownUser]{rejection: granted.rejection}
	}
	return d.registerWithGrant(granted.value, forgeries...)
}

// registerWithGrant registers a passkey with a recovery grant.
func (d *apiDevice) registerWithGrant(grant string, forgeries ...forgery) result[shownUser] {
	d.t.Helper()
	begun := d.api.beginRecovery(grant)
	if !begun.ok() {
		return result[shownUser]{rejection: begun.rejection}
	}
	return d.api.finishRecovery(grant, begun.value.challengeID, d.makeCredential(begun.value, forgeries...))
}

func (d *apiDevice) recoveryFactors() result[shownFactors] { return d.api.recoveryFactors() }
func (d *apiDevice) setUpTOTP() result[string]             { return d.api.setUpTOTP() }
func (d *apiDevice) confirmTOTP(code string) rejection     { return d.api.confirmTOTP(code) }
func (d *apiDevice) removeTOTP() rejection                 { return d.api.removeTOTP() }
func (d *apiDevice) makeBackupCodes() result[[]string]     { return d.api.makeBackupCodes() }
