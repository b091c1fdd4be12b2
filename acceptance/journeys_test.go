package acceptance

// journeys are what users do and see. Every driver runs them.
// Cases of: TestStories
var journeys = []story{
	// Requirement: NIST-2.2.2
	{title: "A user signs up, signs out, and signs in without an e-mail address", run: signsInWithoutEmail},
	{title: "A user signs up without a name or an e-mail address", run: signsUpWithoutNameOrEmail},
	{title: "A user signs in by e-mail address in upper or lower case", run: signsInByEmail},
	{title: "A user signs in with a security key", run: signsInWithASecurityKey},
	{title: "Two users on two devices have separate sessions", run: twoUsersOnTwoDevices},
	{title: "Two users on one device have separate accounts", run: twoUsersShareADevice},
	{title: "A user corrects an invalid e-mail address", run: correctsAnInvalidEmail},
	{title: "An e-mail address belongs to one account", run: emailIsTaken},
	{title: "A user dismisses the prompt and tries again", run: dismissesThePrompt},
	{title: "A user responds to the prompt too late", run: respondsTooLate},
	{title: "A user without a registered passkey cannot sign in", run: hasNoPasskey},
	{title: "Sign-up is closed", run: signUpIsClosed, settings: closeRegistration},
	{title: "A user signs up with an invite, which works once", run: signsUpWithAnInvite, settings: requireInvite},
	{title: "Sign-up needs an invite that is known, not revoked and not expired", run: signUpNeedsAnInvite, settings: requireInvite},
	{title: "An invite for an e-mail address accepts no other", run: inviteIsForAnAddress, settings: requireInvite},

	// Requirement: WebAuthn-7.2-21
	{title: "A signature is invalid", run: badSignatureIsRejected},
	// Requirement: WebAuthn-7.1-16
	{title: "A response lacks user verification", run: userVerificationIsRequired},
	// Requirement: WebAuthn-7.1-15, ASVS-6.3.3
	{title: "A response lacks user presence", run: userPresenceIsRequired},
	// Requirement: WebAuthn-7.2-22
	{title: "A lower signature counter is rejected", run: lowerCounterIsRejected},
	{title: "A lower signature counter is flagged by policy", run: lowerCounterIsFlagged, settings: flagLowerCounters},
	{title: "A lower signature counter suspends the passkey by policy", run: lowerCounterSuspends, settings: suspendLowerCounters},
	{title: "A synced passkey's signature counter is ignored", run: syncedCounterIsIgnored},
	// Requirement: WebAuthn-7.2-19
	{title: "A changed backup eligibility is rejected", run: changedBackupEligibilityIsRejected},
	{title: "A changed backup eligibility is accepted by policy", run: changedBackupEligibilityIsAccepted, settings: acceptChangedBackupEligibility},

	// Requirement: ASVS-7.3.1
	{title: "A session expires after its idle time", run: aSessionEndsIdle},
	// Requirement: ASVS-7.3.1
	{title: "A session in use expires at its maximum age", run: aSessionEndsAtItsMaxAge},
	// Requirement: ASVS-7.4.3
	{title: "A user lists the sessions and revokes one", run: seesTheirDevices},
	// Requirement: ASVS-7.4.3
	{title: "A user signs out everywhere else", run: signsOutEverywhereElse},
	{title: "An idle session is not listed", run: idleSessionLeavesTheList},

	{title: "A user adds a passkey and signs in with it", run: addsAPasskey},
	{title: "A user renames a passkey", run: renamesAPasskey},
	// Requirement: ASVS-6.5.6
	{title: "A user removes a passkey and its sessions are revoked", run: removesAPasskey},
	// Requirement: WebAuthn-13.4.6
	{title: "The last passkey cannot be removed", run: cannotRemoveTheLastPasskey},
	{title: "An authenticator has one passkey for an account", run: onePasskeyPerAuthenticator},
	{title: "An account reaches its passkey limit", run: reachesThePasskeyLimit, settings: twoPasskeysAtMost},
	// Requirement: ASVS-7.5.1
	{title: "A user steps up for a sensitive action", run: stepsUpForASensitiveAction},

	{title: "A user changes the name and the e-mail address", run: changesNameAndEmail},
	// Requirement: ASVS-7.4.2
	{title: "A user deletes the account", run: deletesTheAccount},
	// Requirement: ASVS-6.3.5
	{title: "A user reads rejected attempts in the audit log", run: readsRejectedAttempts},
	// Requirement: ASVS-7.4.2
	{title: "The operator disables an account and enables it again", run: operatorDisablesAnAccount},

	// Requirement: WebAuthn-13.4.6, ASVS-6.5.1, NIST-4.2.1.1
	{title: "A user recovers the account with a backup code", run: recoversWithABackupCode},
	// Requirement: ASVS-6.4.3
	{title: "A user recovers the account with the authenticator app", run: recoversWithTheApp},
	// Requirement: ASVS-6.4.3, NIST-4.2.2.2
	{title: "A user recovers the account with both factors", run: recoversWithBothFactors, settings: requireBothFactors},
	{title: "A user enters codes with other digits and separators", run: entersCodesInOtherScripts},
	// Requirement: ASVS-6.4.3
	{title: "A user recovers the account and removes the lost passkey", run: removesTheLostPasskey},
	// Requirement: ASVS-6.3.1, NIST-4.2.1.1
	{title: "Wrong backup codes count against the client IP", run: wrongBackupCodesCountAgainstTheIP},
	// Requirement: ASVS-6.5.6
	{title: "A user replaces and removes recovery factors", run: changesTheFactors},

	{title: "A user confirms an e-mail address with an emailed code", run: confirmsTheirEmail, mail: true},
	{title: "A taken e-mail address is not taken over and its owner is notified", run: signsUpWithATakenEmail, mail: true},
	{title: "A user changes the e-mail address and the former one is notified", run: changesEmailAndNotifiesTheFormer, mail: true},
	{title: "An attacker who guesses an e-mail code does not get the address", run: guessesAnEmailCode, mail: true},
	// Requirement: ASVS-6.3.5, NIST-4.6
	{title: "A user is notified by e-mail of changes to the ways of signing in", run: isNotifiedByEmail, mail: true},
}
