package acceptance

// attacks are forged, copied, repeated and concurrent requests, which a page cannot send.
// Cases of: TestStories
var attacks = []story{
	{title: "Of several sign-ups with one invite, one succeeds", run: oneCeremonyUsesAnInvite, settings: requireInvite},
	{title: "An invite is revoked while the prompt is open", run: inviteIsRevokedDuringTheCeremony, settings: requireInvite},

	// Requirement: WebAuthn-7.1-7, WebAuthn-7.1-9, WebAuthn-7.1-10, WebAuthn-7.1-14, WebAuthn-7.1-17, ASVS-6.3.3
	{title: "A response is forged as no browser can", run: forgedResponsesAreRejected},
	// Requirement: WebAuthn-7.2-5
	{title: "A user responds with another account's passkey", run: otherAccountsPasskeyIsRejected},
	{title: "A passkey of another server with the same RP ID is unknown", run: passkeyOfAnotherServerIsUnknown},
	// Requirement: WebAuthn-7.1-26
	{title: "Another user's credential id is registered again", run: credentialIDIsRegisteredOnce},
	{title: "A denied authenticator cannot register a passkey in any ceremony", run: deniedAuthenticatorIsRejected, settings: denyModel},
	// Requirement: WebAuthn-14.6.2
	{title: "An address without an account gets the same response as one with an account", run: unknownEmailIsIndistinguishable},

	// Requirement: WebAuthn-7.1-8
	{title: "A response is replayed", run: aResponseIsReplayed},
	// Requirement: WebAuthn-7.1-8
	{title: "Sixteen copies of one response arrive at once", run: sixteenResponsesAtOnce},
	// Requirement: WebAuthn-7.1-8
	{title: "A rejected response consumes its challenge", run: rejectedResponseConsumesItsChallenge},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge expires", run: aChallengeExpires},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge is answered from another browser", run: answeredFromAnotherBrowser},
	// Requirement: WebAuthn-7.1-8
	{title: "A challenge for a sign-up is used for a sign-in", run: aChallengeForAnotherPurpose},

	// Requirement: WebAuthn-13.4.6
	{title: "Sixteen requests remove the last two passkeys at once", run: lastPasskeysAreRemovedConcurrently},
	// Requirement: ASVS-2.3.3
	{title: "Sixteen requests add the last allowed passkey at once", run: passkeyLimitIsReachedConcurrently, settings: twoPasskeysAtMost},
	{title: "A passkey is added in the session that requested it", run: addedPasskeyIsBoundToItsSession},
	{title: "A user sees and removes a suspended passkey", run: removesASuspendedPasskey, settings: suspendLowerCounters},

	// Requirement: ASVS-7.2.4
	{title: "A sign-in revokes the browser's previous session", run: signingInReplacesTheSession},
	// Requirement: ASVS-7.5.1
	{title: "Sensitive actions require a step-up", run: sensitiveActionsRequireStepUp},
	// Requirement: ASVS-7.2.4
	{title: "A step-up rotates the session token and the old token is rejected", run: stepUpRotatesTheToken},
	{title: "A step-up is bound to its session and purpose", run: stepUpIsBoundToItsSession},
	// Requirement: ASVS-6.3.4, ASVS-6.4.3
	{title: "A recovery is not a step-up", run: recoveryIsNoStepUp},
	// Requirement: ASVS-8.2.1
	{title: "A user cannot access another account", run: cannotReachAnotherAccount},

	// Requirement: RFC9700-4.14.2
	{title: "A refresh token is stolen", run: aRefreshTokenIsStolen},
	{title: "An authorization code is requested for another site", run: codeForAnotherSite},
	{title: "An authorization code is stolen", run: aCodeIsStolen},
	{title: "An authorization code is redeemed twice", run: aCodeIsRedeemedTwice},
	// Requirement: ASVS-7.4.2
	{title: "An authorization code of a disabled account is redeemed", run: codeOfADisabledAccount},
	{title: "Sixteen redemptions of an authorization code at once", run: sixteenRedemptionsAtOnce},
	// Requirement: RFC9700-4.14.2
	{title: "An old refresh token is reused", run: oldRefreshTokenIsReused},
	{title: "A refresh token is forged", run: aRefreshTokenIsForged},
	// Requirement: RFC9700-4.14.2
	{title: "Sixteen requests refresh one token at once", run: sixteenRefreshesAtOnce},
	// Requirement: ASVS-6.3.4
	{title: "A refresh is not a step-up", run: aRefreshIsNoStepUp},

	// Requirement: ASVS-6.4.3, NIST-4.2.2.2
	{title: "A recovery that requires both factors rejects a single one", run: oneFactorIsRejectedWhereBothAreRequired, settings: requireBothFactors},
	// Requirement: ASVS-6.3.4
	{title: "A recovery grant registers one passkey and is not a session", run: grantRegistersOnePasskey},
	{title: "A recovery grant expires and its code stays unused", run: aGrantExpires},
	{title: "A recovery grant is bound to its account and purpose", run: grantIsBoundToItsOwner},
	// Requirement: ASVS-6.5.6
	{title: "A recovery grant ends with its factor", run: grantEndsWithItsFactor},
	// Requirement: ASVS-6.5.1, ASVS-2.3.3, NIST-3.1.4
	{title: "Sixteen recoveries at once", run: sixteenRecoveriesAtOnce},
	// Requirement: ASVS-6.3.1
	{title: "An attacker who guesses codes must wait and the owner signs in", run: guessesUntilBackoff},
	// Requirement: NIST-3.2.2
	{title: "Recovery is locked by guesses until a passkey sign-in", run: guessesUntilRecoveryLocked},
	{title: "A confirmed e-mail code is used again", run: confirmedEmailCodeIsRejected, mail: true},
	// Requirement: ASVS-6.3.1
	{title: "Unconfirmed e-mails to one mailbox are limited", run: verificationEmailsAreLimited, mail: true},
}
