package authenticator

// Variation makes one answer differ from what an honest client with the newest passkey would say. Content is changed
// before it is signed; only ForgeSignature breaks the signature itself.
type Variation func(*ceremony)

// Flags is the flags octet of authenticator data (WebAuthn Level 3, section 6.1).
type Flags byte

const (
	UserPresent            Flags = 1 << 0
	UserVerified           Flags = 1 << 2
	BackupEligible         Flags = 1 << 3
	BackedUp               Flags = 1 << 4
	AttestedCredentialData Flags = 1 << 6
	ExtensionData          Flags = 1 << 7
)

// Choose is what a person does whose device holds passkeys of several accounts: they take that of the given user
// handle.
func Choose(userHandle []byte) Variation {
	return func(c *ceremony) { c.userHandle = userHandle }
}

// ForgeType replaces the client data's type.
func ForgeType(ceremonyType string) Variation {
	return func(c *ceremony) { c.clientData.Type = ceremonyType }
}

// ForgeChallenge answers another challenge than the one that was asked.
func ForgeChallenge(challenge []byte) Variation {
	return func(c *ceremony) { c.clientData.Challenge = Base64URL(challenge).String() }
}

// ForgeOrigin answers from another origin.
func ForgeOrigin(origin string) Variation {
	return func(c *ceremony) { c.clientData.Origin = origin }
}

// ForgeCrossOrigin answers from a frame that is not of its page's origin. The client data has no topOrigin if it is
// empty.
func ForgeCrossOrigin(topOrigin string) Variation {
	return func(c *ceremony) { c.clientData.CrossOrigin, c.clientData.TopOrigin = true, topOrigin }
}

// ForgeClientDataJSON rewrites the serialized client data.
func ForgeClientDataJSON(rewrite func(honest []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteClientData = rewrite }
}

// ForgeRPID answers for another relying party.
func ForgeRPID(rpID string) Variation {
	return func(c *ceremony) { c.rpID = rpID }
}

// ForgeFlags raises and lowers flags of the authenticator data.
func ForgeFlags(raise, lower Flags) Variation {
	return func(c *ceremony) { c.flags = c.flags&^lower | raise }
}

// ForgeSignCount replaces the signature counter of this one answer.
func ForgeSignCount(count uint32) Variation {
	return func(c *ceremony) { c.signCount = &count }
}

// ForgeAuthenticatorData rewrites the whole authenticator data.
func ForgeAuthenticatorData(rewrite func(honest []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteAuthenticatorData = rewrite }
}

// ForgeCredentialID makes the new passkey under the given id, for instance one that somebody has registered already.
func ForgeCredentialID(id []byte) Variation {
	return func(c *ceremony) { c.credentialID = id }
}

// ForgeCOSEKey rewrites the new passkey's public key, by COSE label.
func ForgeCOSEKey(rewrite func(key map[int]any)) Variation {
	return func(c *ceremony) { c.rewriteCOSEKey = rewrite }
}

// ForgeAttestation replaces the attestation's format and statement.
func ForgeAttestation(format string, statement map[string]any) Variation {
	return func(c *ceremony) { c.attestation = &attestation{Format: format, Statement: statement} }
}

// ForgeEncodedKey rewrites the new passkey's public key as it is written in CBOR.
func ForgeEncodedKey(rewrite func(honest []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteEncodedKey = rewrite }
}

// ForgeStatement rewrites members of the attestation statement, after it was signed.
func ForgeStatement(rewrite func(statement map[string]any)) Variation {
	return func(c *ceremony) { c.rewriteStatement = rewrite }
}

// ForgeAttestationObject rewrites members of the attestation object: fmt, attStmt and authData.
func ForgeAttestationObject(rewrite func(object map[string]any)) Variation {
	return func(c *ceremony) { c.rewriteObject = rewrite }
}

// ForgeEncodedObject rewrites the attestation object as it is written in CBOR.
func ForgeEncodedObject(rewrite func(honest []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteEncodedObject = rewrite }
}

// ForgeCredProps replaces what the client says about the new passkey; nil makes it say nothing.
func ForgeCredProps(properties *CredProps) Variation {
	return func(c *ceremony) { c.credProps = properties }
}

// ForgeAnswerID names another credential in the answer than the one that made it.
func ForgeAnswerID(id []byte) Variation {
	return func(c *ceremony) { c.answerID = id }
}

// ForgeUserHandle replaces the user handle of the answer; nil leaves it out.
func ForgeUserHandle(userHandle []byte) Variation {
	return func(c *ceremony) { c.answerUserHandle = &userHandle }
}

// ForgeSignature rewrites the signature of an assertion or an attestation.
func ForgeSignature(rewrite func(honest []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteSignature = rewrite }
}

// IncludeAttestedData sends the passkey's attested credential data with an assertion, as some authenticators did until 2019 and none may
// (WebAuthn Level 3, section 6.1).
func IncludeAttestedData() Variation {
	return func(c *ceremony) { c.flags, c.includeAttestedData = c.flags|AttestedCredentialData, true }
}
