package webauthn

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// primes has one random prime for each length.
var primes sync.Map

func prime(bits int) *big.Int {
	random, found := primes.Load(bits)
	if !found {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		random, _ = primes.LoadOrStore(bits, p)
	}
	return random.(*big.Int)
}

// mersenne returns 2^n-1, which is a prime for some n. Generating a large random prime takes longer.
func mersenne(n uint) *big.Int {
	power := new(big.Int).Lsh(big.NewInt(1), n)
	return power.Sub(power, big.NewInt(1))
}

// modulus returns a product of two primes of different lengths, so that they are not close.
func modulus(bits int) *big.Int {
	if bits > 4000 {
		return new(big.Int).Mul(mersenne(3217), prime(bits-3217))
	}
	return new(big.Int).Mul(prime(bits/2-3), prime(bits-bits/2+3))
}

// nextPrime returns the smallest prime above p.
func nextPrime(p *big.Int) *big.Int {
	two := big.NewInt(2)
	for q := new(big.Int).Add(p, two); ; q.Add(q, two) {
		if q.ProbablyPrime(10) {
			return q
		}
	}
}

func ed25519Key(x []byte) authenticator.Variation {
	return changeCOSEKey(map[int]any{1: 1, 3: -8, -1: 6, -2: x, -3: nil})
}

func unhex(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

const (
	zeros = "00000000000000000000000000000000000000000000000000000000000000"
	ones  = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
)

// smallOrder has the points of Ed25519 of small order, each with all encodings that decoders accept.
var smallOrder = map[string]string{
	"order 1":                          "01" + zeros,
	"order 1, negative":                "01" + zeros[2:] + "80",
	"order 1, y not reduced":           "ee" + ones + "7f",
	"order 1, y not reduced, negative": "ee" + ones + "ff",
	"order 2":                          "ec" + ones + "7f",
	"order 2, negative":                "ec" + ones + "ff",
	"order 4":                          "00" + zeros,
	"order 4, negative":                "00" + zeros[2:] + "80",
	"order 4, y not reduced":           "ed" + ones + "7f",
	"order 4, y not reduced, negative": "ed" + ones + "ff",
	"order 8":                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"order 8, negative":                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"order 8, the other y":             "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"order 8, the other y, negative":   "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

// mixedOrder returns the sum of the base point and a point of order 8.
func mixedOrder() []byte {
	small, err := new(edwards25519.Point).SetBytes(unhex(smallOrder["order 8"]))
	if err != nil {
		panic(err)
	}
	return small.Add(small, edwards25519.NewGeneratorPoint()).Bytes()
}

// publicKeyRules are rules of keys whose members have the right types.
// Cases of: TestRegistrationRules
func publicKeyRules() []rule {
	const malf, alg = domain.ReasonMalformed, domain.ReasonAlgorithmNotAllowed
	rs256 := func(n, e []byte) authenticator.Variation {
		return changeCOSEKey(map[int]any{1: 3, 3: -257, -1: n, -2: e, -3: nil})
	}
	valid, f4 := modulus(2048).Bytes(), []byte{1, 0, 1}
	times := func(factors ...*big.Int) []byte {
		product := big.NewInt(1)
		for _, f := range factors {
			product.Mul(product, f)
		}
		return product.Bytes()
	}
	offCurve := edwards25519.NewGeneratorPoint().Bytes()
	for _, err := new(edwards25519.Point).SetBytes(offCurve); err == nil; _, err = new(edwards25519.Point).SetBytes(offCurve) {
		offCurve[0]++
	}
	gx, gy := elliptic.P256().Params().Gx, elliptic.P256().Params().Gy
	p256 := func(x, y []byte) authenticator.Variation { return changeCOSEKey(map[int]any{-2: x, -3: y}) }
	rules := []rule{
		{"RSA modulus with a leading zero", rs256(append([]byte{0}, valid...), f4), malf, rs256(valid, f4)},
		{"RSA modulus of no bytes", rs256([]byte{}, f4), malf, nil},
		{"RSA modulus as text", changeCOSEKey(map[int]any{1: 3, 3: -257, -1: "n", -2: f4, -3: nil}), malf, nil},
		{"RSA modulus as a list of bytes", changeCOSEKey(map[int]any{1: 3, 3: -257, -1: []int{1, 2, 3}, -2: f4, -3: nil}), malf, nil},
		// Requirement: WebAuthn-7.1-20
		{"RSA modulus that is even", rs256(times(modulus(2048), big.NewInt(2)), f4), malf, nil},
		{"RSA modulus of one bit", rs256(new(big.Int).SetBit(new(big.Int), 2047, 1).Bytes(), f4), malf, nil},
		{"RSA modulus with the factor 3", rs256(times(modulus(2047), big.NewInt(3)), f4), malf, nil},
		{"RSA modulus with the factor 997", rs256(times(modulus(2047), big.NewInt(997)), f4), malf, nil},
		{"RSA modulus that is a prime", rs256(mersenne(2203).Bytes(), f4), malf, nil},
		{"RSA modulus that is a square", rs256(times(prime(1024), prime(1024)), f4), malf, nil},
		{"RSA modulus of close primes", rs256(times(prime(1024), nextPrime(prime(1024))), f4), malf, nil},
		{"RSA exponent 1", rs256(valid, []byte{1}), malf, nil},
		{"RSA exponent 3", rs256(valid, []byte{3}), malf, nil},
		{"RSA exponent 65535", rs256(valid, []byte{0xff, 0xff}), malf, nil},
		{"RSA exponent 65536", rs256(valid, []byte{1, 0, 0}), malf, nil},
		{"RSA exponent 65538", rs256(valid, []byte{1, 0, 2}), malf, nil},
		// Requirement: WebAuthn-7.1-20
		{"RSA exponent 2^31+1", rs256(valid, []byte{0x80, 0, 0, 1}), malf, rs256(valid, []byte{0x7f, 0xff, 0xff, 0xff})},
		{"RSA exponent 2^32+1", rs256(valid, []byte{1, 0, 0, 0, 1}), malf, nil},
		{"RSA exponent 2^64+65537", rs256(valid, []byte{1, 0, 0, 0, 0, 0, 1, 0, 1}), malf, nil},
		{"RSA exponent as long as the modulus", rs256(valid, valid), malf, nil},
		{"RSA exponent with a leading zero", rs256(valid, []byte{0, 1, 0, 1}), malf, nil},
		{"RSA exponent of no bytes", rs256(valid, []byte{}), malf, nil},
		{"RSA exponent as a number", changeCOSEKey(map[int]any{1: 3, 3: -257, -1: valid, -2: 65537, -3: nil}), malf, nil},
		{"RSA key with a private exponent", changeCOSEKey(map[int]any{1: 3, 3: -257, -1: valid, -2: f4, -3: valid}), malf, nil},
		{"RSA key of 1024 bits", rs256(modulus(1024).Bytes(), f4), alg, nil},

		{"EC point with x in 31 bytes", p256(gx.Bytes()[1:], gy.Bytes()), malf, p256(gx.Bytes(), gy.Bytes())},
		{"EC point with x in 33 bytes", p256(append([]byte{0}, gx.Bytes()...), gy.Bytes()), malf, nil},
		{"EC point with y in 33 bytes", p256(gx.Bytes(), append([]byte{0}, gy.Bytes()...)), malf, nil},
		{"EC point with x not reduced", p256(elliptic.P256().Params().P.Bytes(), gy.Bytes()), malf, nil},
		{"EC point with the sign of y", changeCOSEKey(map[int]any{-3: true}), malf, nil},
		{"EC point at infinity", p256(make([]byte, 32), make([]byte, 32)), malf, nil},
		{"EC coordinates of P-384", p256(elliptic.P384().Params().Gx.Bytes(), elliptic.P384().Params().Gy.Bytes()), malf, nil},
		{"EC key on P-384 with its point", changeCOSEKey(map[int]any{-1: 2, -2: elliptic.P384().Params().Gx.Bytes(), -3: elliptic.P384().Params().Gy.Bytes()}), malf, nil},
		{"EC key on secp256k1", changeCOSEKey(map[int]any{-1: 8}), malf, nil},
		{"EC key on P-521", changeCOSEKey(map[int]any{-1: 3}), malf, nil},
		{"ES512 on P-521, not offered", changeCOSEKey(map[int]any{3: -36, -1: 3, -2: elliptic.P521().Params().Gx.Bytes(), -3: elliptic.P521().Params().Gy.Bytes()}), alg, nil},
		{"ESP256, not offered", changeCOSEKey(map[int]any{3: -9}), alg, nil},

		// Requirement: WebAuthn-7.1-20
		{"Ed25519 point of mixed order", ed25519Key(mixedOrder()), malf, ed25519Key(edwards25519.NewGeneratorPoint().Bytes())},
		{"Ed25519 point off the curve", ed25519Key(offCurve), malf, nil},
		{"Ed25519 point with y not reduced", ed25519Key(unhex("f0" + ones + "7f")), malf, nil},
		{"Ed25519 point of no bytes", ed25519Key([]byte{}), malf, nil},
		{"Ed25519 point of 33 bytes", ed25519Key(append(edwards25519.NewGeneratorPoint().Bytes(), 0)), malf, nil},
		{"Ed25519 point on X25519", changeCOSEKey(map[int]any{1: 1, 3: -8, -1: 4, -2: edwards25519.NewGeneratorPoint().Bytes(), -3: nil}), malf, nil},
		{"Ed25519 point with y", changeCOSEKey(map[int]any{1: 1, 3: -8, -1: 6, -2: edwards25519.NewGeneratorPoint().Bytes()}), malf, nil},
		{"Ed25519 key of type EC2", changeCOSEKey(map[int]any{3: -8, -1: 6, -2: edwards25519.NewGeneratorPoint().Bytes(), -3: nil}), malf, nil},
		{"Ed25519 with algorithm -19, not offered", changeCOSEKey(map[int]any{1: 1, 3: -19, -1: 6, -2: edwards25519.NewGeneratorPoint().Bytes(), -3: nil}), alg, nil},
	}
	var names []string
	for name := range smallOrder {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		rules = append(rules, rule{"Ed25519 point of " + name, ed25519Key(unhex(smallOrder[name])), malf, nil})
	}
	return rules
}

// Each point of the table can be decoded, and eight times the point is the identity.
// Requirement: WebAuthn-7.1-20
func TestSmallOrder_TestPoints(t *testing.T) {
	points := map[string]bool{}
	for name, encoded := range smallOrder {
		point, err := new(edwards25519.Point).SetBytes(unhex(encoded))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		points[string(point.Bytes())] = true
		if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) != 1 || torsionFree(point) != (point.Equal(edwards25519.NewIdentityPoint()) == 1) {
			t.Errorf("%s is not of small order", name)
		}
	}
	if len(points) != 8 {
		t.Errorf("%d different points, want 8", len(points))
	}
	mixed, err := new(edwards25519.Point).SetBytes(mixedOrder())
	if err != nil || torsionFree(mixed) || !torsionFree(edwards25519.NewGeneratorPoint()) || !bytes.Equal(mixed.Bytes(), mixedOrder()) {
		t.Errorf("the point of mixed order: %v", err)
	}
}
