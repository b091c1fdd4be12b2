package authenticator

// Variation changes one response. Without variations, a response is valid and from the newest passkey. Content is changed
// before it is signed; only ForgeSignature breaks the signature.
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

// Choose selects the passkey with the user handle, on a device with passkeys of several accounts.
func Choose(userHandle []byte) Variation {
	return func(c *ceremony) { c.userHandle = userHandle }
}

// ForgeType replaces the client data's type.
func ForgeType(ceremonyType string) Variation {
	return func(c *ceremony) { c.clientData.Type = ceremonyType }
}

// ForgeChallenge replaces the client data's challenge.
func ForgeChallenge(challenge []byte) Variation {
	return func(c *ceremony) { c.clientData.Challenge = Base64URL(challenge).String() }
}

// ForgeOrigin replaces the client data's origin.
func ForgeOrigin(origin string) Variation {
	return func(c *ceremony) { c.clientData.Origin = origin }
}

// ForgeCrossOrigin sets the client data of a frame whose origin differs from that of the page. An empty topOrigin is omitted.
func ForgeCrossOrigin(topOrigin string) Variation {
	return func(c *ceremony) { c.clientData.CrossOrigin, c.clientData.TopOrigin = true, topOrigin }
}

// ForgeClientDataJSON rewrites the serialized client data.
func ForgeClientDataJSON(rewrite func(valid []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteClientData = rewrite }
}

// ForgeRPID replaces the RP ID whose hash is in the authenticator data.
func ForgeRPID(rpID string) Variation {
	return func(c *ceremony) { c.rpID = rpID }
}

// ForgeFlags sets and clears flags of the authenticator data.
func ForgeFlags(set, unset Flags) Variation {
	return func(c *ceremony) { c.flags = c.flags&^unset | set }
}

// ForgeSignCount replaces the signature counter of this response.
func ForgeSignCount(count uint32) Variation {
	return func(c *ceremony) { c.signCount = &count }
}

// ForgeAuthenticatorData rewrites the whole authenticator data.
func ForgeAuthenticatorData(rewrite func(valid []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteAuthenticatorData = rewrite }
}

// ForgeCredentialID sets the id of the new passkey, for instance to one that is already registered.
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

// ForgeEncodedKey rewrites the new passkey's public key in its CBOR encoding.
func ForgeEncodedKey(rewrite func(valid []byte) []byte) Variation {
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

// ForgeEncodedObject rewrites the attestation object in its CBOR encoding.
func ForgeEncodedObject(rewrite func(valid []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteEncodedObject = rewrite }
}

// ForgeCredProps replaces the output of the credProps extension; nil omits it.
func ForgeCredProps(properties *CredProps) Variation {
	return func(c *ceremony) { c.credProps = properties }
}

// ForgeAnswerID replaces the credential id of the response.
func ForgeAnswerID(id []byte) Variation {
	return func(c *ceremony) { c.answerID = id }
}

// ForgeUserHandle replaces the user handle of the response; nil omits it.
func ForgeUserHandle(userHandle []byte) Variation {
	return func(c *ceremony) { c.answerUserHandle = &userHandle }
}

// ForgeSignature rewrites the signature of an assertion or an attestation.
func ForgeSignature(rewrite func(valid []byte) []byte) Variation {
	return func(c *ceremony) { c.rewriteSignature = rewrite }
}

// IncludeAttestedData adds the attested credential data to an assertion, as some authenticators did until 2019, although it is
// not allowed (WebAuthn Level 3, section 6.1).
func IncludeAttestedData() Variation {
	return func(c *ceremony) { c.flags, c.includeAttestedData = c.flags|AttestedCredentialData, true }
}
