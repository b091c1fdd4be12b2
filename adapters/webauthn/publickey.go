package webauthn

import (
	"bytes"
	"crypto/ecdh"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"filippo.io/edwards25519"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/keylodge/keylodge/domain"
)

// Labels of a COSE_Key (RFC 9052, section 7.1; RFC 9053, section 7; RFC 8230, section 4).
const (
	labelKeyType   = 1
	labelAlgorithm = 3

	labelCurve = -1 // of EC2 and OKP
	labelX     = -2
	labelY     = -3 // of EC2

	labelModulus  = -1 // of RSA
	labelExponent = -2
)

// checkPublicKey returns the algorithm of a new passkey's COSE key. It returns a *domain.Rejection unless the algorithm was offered and
// the key is valid and strong for it.
//
// The library (0.18) checks only the algorithm, unless there is an attestation to verify: it would register a point that is not on its
// curve, a point of small order, or an RSA key that claims ES256.
func checkPublicKey(encoded []byte, offered []protocol.CredentialParameter) (int64, error) {
	key, err := parseCOSEKey(encoded)
	if err != nil {
		return 0, err
	}
	algorithm, err := key.integer(labelAlgorithm)
	if err != nil {
		return 0, err
	}
	isOffered := func(p protocol.CredentialParameter) bool { return int64(p.Algorithm) == algorithm }
	if !slices.ContainsFunc(offered, isOffered) {
		return 0, domain.Reject(domain.ReasonAlgorithmNotAllowed, fmt.Sprintf("credential public key of COSE algorithm %d", algorithm))
	}
	switch webauthncose.COSEAlgorithmIdentifier(algorithm) {
	case webauthncose.AlgES256:
		err = key.checkES256()
	case webauthncose.AlgEdDSA:
		err = key.checkEd25519()
	case webauthncose.AlgRS256:
		err = key.checkRS256()
	default:
		err = domain.Reject(domain.ReasonAlgorithmNotAllowed, fmt.Sprintf("keys of COSE algorithm %d cannot be checked", algorithm))
	}
	return algorithm, err
}

// coseKey has the members of a COSE_Key by label.
type coseKey map[int]webauthncbor.RawMessage

func parseCOSEKey(encoded []byte) (coseKey, error) {
	var key coseKey
	if err := webauthncbor.Unmarshal(encoded, &key); err != nil {
		return nil, rejectKey("%s", quote(err.Error()))
	}
	return key, nil
}

func rejectKey(format string, values ...any) error {
	return domain.Reject(domain.ReasonMalformed, "credential public key: "+fmt.Sprintf(format, values...))
}

// integer returns a member, or 0, which is no algorithm, key type or curve, if it is missing.
func (k coseKey) integer(label int) (n int64, err error) {
	if raw, present := k[label]; present {
		if err := webauthncbor.Unmarshal(raw, &n); err != nil {
			return 0, rejectKey("member %d: %s", label, quote(err.Error()))
		}
	}
	return n, nil
}

// bytes returns a member, or nil if it is missing. It rejects anything but a byte string; the decoder would accept a list of numbers,
// too.
func (k coseKey) bytes(label int) (b []byte, err error) {
	raw, present := k[label]
	if !present {
		return nil, nil
	}
	if len(raw) == 0 || raw[0]>>5 != cborBytes {
		return nil, rejectKey("member %d is not a byte string", label)
	}
	if err := webauthncbor.Unmarshal(raw, &b); err != nil {
		return nil, rejectKey("member %d: %s", label, quote(err.Error()))
	}
	return b, nil
}

// requireType checks the key type and the curve, 0 for none. It rejects other members than those listed, such as key_ops, kid or a
// private key (section 6.5.1.1: only the members that the type and the algorithm require).
func (k coseKey) requireType(keyType webauthncose.COSEKeyType, curve webauthncose.COSEEllipticCurve, members ...int) error {
	if got, err := k.integer(labelKeyType); err != nil || got != int64(keyType) {
		return rejectKey("key type %d, but the algorithm requires %d", got, keyType)
	}
	if curve != 0 {
		if got, err := k.integer(labelCurve); err != nil || got != int64(curve) {
			return rejectKey("curve %d, but the algorithm requires %d", got, curve)
		}
	}
	allowed := append([]int{labelKeyType, labelAlgorithm}, members...)
	for label := range k {
		if !slices.Contains(allowed, label) {
			return rejectKey("member %d, which the algorithm does not have", label)
		}
	}
	return nil
}

// checkES256 requires a point of P-256 with two coordinates of 32 bytes (section 5.8.5). The only point of small order is the point at
// infinity, which has no coordinates.
func (k coseKey) checkES256() error {
	if err := k.requireType(webauthncose.EllipticKey, webauthncose.P256, labelCurve, labelX, labelY); err != nil {
		return err
	}
	x, err := k.bytes(labelX)
	if err != nil {
		return err
	}
	y, err := k.bytes(labelY)
	if err != nil {
		return err
	}
	const coordinate = 32 // bytes
	if len(x) != coordinate || len(y) != coordinate {
		return rejectKey("P-256 coordinates of %d and %d bytes instead of %d", len(x), len(y), coordinate)
	}
	if _, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, x, y)); err != nil {
		return rejectKey("the point is not on P-256")
	}
	return nil
}

// checkEd25519 requires a point of prime order in canonical encoding (RFC 8032, section 5.1.3). Anyone can forge signatures for a point
// of small order; those for a point with a component of small order are valid in some implementations only.
func (k coseKey) checkEd25519() error {
	if err := k.requireType(webauthncose.OctetKey, webauthncose.Ed25519, labelCurve, labelX); err != nil {
		return err
	}
	x, err := k.bytes(labelX)
	if err != nil {
		return err
	}
	point, err := new(edwards25519.Point).SetBytes(x)
	if err != nil {
		return rejectKey("%d bytes that are not a point of Ed25519", len(x))
	}
	identity := edwards25519.NewIdentityPoint()
	switch {
	case !bytes.Equal(point.Bytes(), x):
		return rejectKey("a point of Ed25519 in a non-canonical encoding")
	case new(edwards25519.Point).MultByCofactor(point).Equal(identity) == 1:
		return rejectKey("a point of Ed25519 of small order")
	case !torsionFree(point):
		return rejectKey("a point of Ed25519 with a component of small order")
	}
	return nil
}

// torsionFree reports whether ℓ·P is the identity, where ℓ is the prime order of the base point. Scalars are less than ℓ, so it computes
// (ℓ-1)·P + P.
func torsionFree(point *edwards25519.Point) bool {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		return false
	}
	sum := new(edwards25519.Point).ScalarMult(edwards25519.NewScalar().Negate(one), point)
	return sum.Add(sum, point).Equal(edwards25519.NewIdentityPoint()) == 1
}

// RSA keys must have at least 2048 bits (RFC 8812, section 2). No authenticator uses more than 4096, which would cost the server more at
// each sign-in.
const minRSABits, maxRSABits = 2048, 4096

// RSA exponents must be odd, above 2^16 (FIPS 186-5, section 5.1) and at most 2^31-1, the maximum of crypto/rsa. No authenticator is
// known to use 3.
const minRSAExponent, maxRSAExponent = 1<<16 + 1, 1<<31 - 1

// checkRS256 requires numbers in their shortest form (RFC 8230, section 4) that form an RSA key (RFC 8017, section 3.1), and a modulus
// that is not trivial to factor.
func (k coseKey) checkRS256() error {
	if err := k.requireType(webauthncose.RSAKey, 0, labelModulus, labelExponent); err != nil {
		return err
	}
	n, err := k.number(labelModulus)
	if err != nil {
		return err
	}
	e, err := k.number(labelExponent)
	if err != nil {
		return err
	}
	if bits := n.BitLen(); bits < minRSABits || bits > maxRSABits {
		return domain.Reject(domain.ReasonAlgorithmNotAllowed, fmt.Sprintf("RSA key of %d bits", bits))
	}
	if !e.IsInt64() || e.Int64() < minRSAExponent || e.Int64() > maxRSAExponent || e.Bit(0) == 0 {
		return rejectKey("RSA exponent %s", quote(e.String()))
	}
	return checkModulus(n)
}

// number returns an RSA parameter: an unsigned big-endian integer of at least one byte without leading zeros.
func (k coseKey) number(label int) (*big.Int, error) {
	b, err := k.bytes(label)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] == 0 {
		return nil, rejectKey("RSA member %d is missing, empty or has leading zeros", label)
	}
	return new(big.Int).SetBytes(b), nil
}

// smallPrimes is the product of the primes below 1000.
var smallPrimes = sync.OnceValue(func() *big.Int {
	product := big.NewInt(1)
	for n := range int64(1000) {
		if p := big.NewInt(n); p.ProbablyPrime(0) {
			product.Mul(product, p)
		}
	}
	return product
})

// checkModulus rejects a modulus that is trivial to factor: one with a factor below 1000, a prime, and the product of two close primes
// or a square (100 rounds of Fermat's method, as in the CA/Browser Forum's Baseline Requirements, section 6.1.6).
func checkModulus(n *big.Int) error {
	if new(big.Int).GCD(nil, nil, n, smallPrimes()).Cmp(big.NewInt(1)) != 0 {
		return rejectKey("RSA modulus with a small factor")
	}
	if n.ProbablyPrime(1) {
		return rejectKey("RSA modulus that is a prime")
	}
	const rounds = 100
	one, root, square := big.NewInt(1), new(big.Int), new(big.Int)
	a := new(big.Int).Sqrt(n)
	for range rounds {
		// n = a² - b² = (a+b)(a-b)
		if rest := square.Mul(a, a).Sub(square, n); rest.Sign() >= 0 {
			root.Sqrt(rest)
			if new(big.Int).Mul(root, root).Cmp(rest) == 0 {
				return rejectKey("RSA modulus of two close factors")
			}
		}
		a.Add(a, one)
	}
	return nil
}

// checkEncodedKey requires the key in CTAP2 canonical CBOR (section 6.5.1). The library accepts other encodings, but stores the canonical
// one, which then differs from the signed bytes.
func checkEncodedKey(object protocol.AttestationObject) error {
	const beforeID = 37 + 16 + 2 // the fixed part, the AAGUID and the length of the id
	attested := object.AuthData.AttData
	if encoded := object.RawAuthData[beforeID+len(attested.CredentialID):]; !bytes.HasPrefix(encoded, attested.CredentialPublicKey) {
		return rejectKey("not in canonical CBOR")
	}
	return nil
}
