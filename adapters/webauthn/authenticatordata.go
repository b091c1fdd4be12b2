package webauthn

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/keylodge/keylodge/domain"
)

// checkAuthenticatorData holds parsed authenticator data to its relying party and to the domain's rule about flags. Its
// layout was checked by the library's parser, which takes neither too few bytes nor too many.
func checkAuthenticatorData(data protocol.AuthenticatorData, rpID string) error {
	if want := sha256.Sum256([]byte(rpID)); !bytes.Equal(data.RPIDHash, want[:]) {
		return domain.Reject(domain.ReasonRPIDMismatch, fmt.Sprintf("authenticator data for the RP id with hash %x", data.RPIDHash))
	}
	return domain.AuthenticatorFlags(data.Flags).Verify()
}

// RSA keys below 2048 bits are forbidden (RFC 8812, section 2). Larger ones than 4096 are not made by authenticators,
// and each login would cost the server more.
const minRSABits, maxRSABits = 2048, 4096

// checkPublicKey returns the algorithm of a new passkey's COSE key, which must be one of those offered, with a key that
// fits it. The library (0.18) looks at the algorithm only, unless there is an attestation to verify: it would register
// a point off its curve, or an RSA key said to be ES256, which could then never sign in.
func checkPublicKey(encoded []byte, offered []protocol.CredentialParameter) (int64, error) {
	var header webauthncose.PublicKeyData
	if err := webauthncbor.Unmarshal(encoded, &header); err != nil {
		return 0, domain.Reject(domain.ReasonMalformed, "credential public key: "+quote(err.Error()))
	}
	isOffered := func(p protocol.CredentialParameter) bool { return int64(p.Algorithm) == header.Algorithm }
	if !slices.ContainsFunc(offered, isOffered) {
		return 0, domain.Reject(domain.ReasonAlgorithmNotAllowed, fmt.Sprintf("credential public key of COSE algorithm %d", header.Algorithm))
	}
	key, err := webauthncose.ParsePublicKey(encoded)
	if err != nil {
		return 0, domain.Reject(domain.ReasonMalformed, "credential public key: "+quote(err.Error()))
	}
	if rsa, isRSA := key.(webauthncose.RSAPublicKeyData); isRSA {
		bits := new(big.Int).SetBytes(rsa.Modulus).BitLen()
		if header.Algorithm != int64(webauthncose.AlgRS256) || bits < minRSABits || bits > maxRSABits {
			return 0, domain.Reject(domain.ReasonAlgorithmNotAllowed, fmt.Sprintf("RSA key of %d bits for COSE algorithm %d", bits, header.Algorithm))
		}
	}
	return header.Algorithm, checkKeyMembers(encoded, key)
}

// checkKeyMembers refuses what a credential's key must not have: any member that its type and algorithm do not need
// (section 6.5.1.1), such as its private half; and exponents that make no RSA key (RFC 8017, section 3.1). The library reads
// neither.
func checkKeyMembers(encoded []byte, key any) error {
	var members map[int]webauthncbor.RawMessage
	if err := webauthncbor.Unmarshal(encoded, &members); err != nil {
		return domain.Reject(domain.ReasonMalformed, "credential public key: "+quote(err.Error()))
	}
	needed := []int{1, 3, -1, -2} // kty, alg, crv and x, or n and e
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		needed = append(needed, -3) // y
	case webauthncose.RSAPublicKeyData:
		if e := new(big.Int).SetBytes(k.Exponent); e.Cmp(big.NewInt(3)) < 0 || e.Bit(0) == 0 {
			return domain.Reject(domain.ReasonMalformed, "RSA key with exponent "+e.String())
		}
	}
	for label := range members {
		if !slices.Contains(needed, label) {
			return domain.Reject(domain.ReasonMalformed, fmt.Sprintf("credential public key with a member %d", label))
		}
	}
	return nil
}

// checkEncodedKey wants the credential's key in the one form that it can have, CTAP2 canonical CBOR (section 6.5.1). The
// library takes others and keeps the canonical one, which then differs from what the authenticator's signature covers.
func checkEncodedKey(object protocol.AttestationObject) error {
	const beforeID = 37 + 16 + 2 // the fixed part, the AAGUID and the length of the id
	attested := object.AuthData.AttData
	if written := object.RawAuthData[beforeID+len(attested.CredentialID):]; !bytes.HasPrefix(written, attested.CredentialPublicKey) {
		return domain.Reject(domain.ReasonMalformed, "credential public key that is not in canonical CBOR")
	}
	return nil
}
