package acceptance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// es256Only makes the passkeys of the tables ES256, so that the cases can edit their CBOR by its bytes.
var es256Only = []authenticator.Option{authenticator.WithAlgorithms(authenticator.ES256)}

const (
	userPresent    = authenticator.UserPresent
	userVerified   = authenticator.UserVerified
	backupEligible = authenticator.BackupEligible
	backedUp       = authenticator.BackedUp
	attestedData   = authenticator.AttestedCredentialData
	extensionData  = authenticator.ExtensionData
)

func forgedCase(step, name string, reason domain.Reason, forge authenticator.Variation, control ...authenticator.Variation) invalidCase {
	return invalidCase{step: step, name: name, device: es256Only, forge: []authenticator.Variation{forge}, reason: reason, control: control}
}

func truncateData(length int) authenticator.Variation {
	return authenticator.ForgeAuthenticatorData(func(data []byte) []byte { return data[:length] })
}

// withExtensionData appends extension data and sets the flags.
func withExtensionData(flag authenticator.Flags, cbor ...byte) authenticator.Variation {
	return authenticator.ForgeAuthenticatorData(func(data []byte) []byte {
		data[32] |= byte(flag)
		return append(data, cbor...)
	})
}

func invalidAttestedData() []invalidCase {
	const malformed = domain.ReasonMalformed
	none := authenticator.Flags(0)
	return []invalidCase{
		forgedCase("§7.1 step 14 (rpIdHash)", "another", domain.ReasonRPIDMismatch, authenticator.ForgeRPID("evil.example")),
		forgedCase("§7.1 step 14 (rpIdHash)", "of the origin", domain.ReasonRPIDMismatch, authenticator.ForgeRPID("http://localhost")),
		forgedCase("§7.1 step 15 (UP)", "not set", domain.ReasonUserPresenceMissing, authenticator.ForgeFlags(none, userPresent)),
		{
			step: "§7.1 step 16 (UV)", name: "not set", device: es256Only, forge: []authenticator.Variation{authenticator.ForgeFlags(none, userVerified)},
			code: "user_verification_required", reason: domain.ReasonUserVerificationMissing,
		},
		forgedCase("§7.1 step 17 (BS)", "set without BE", domain.ReasonBackupStateInvalid, authenticator.ForgeFlags(backedUp, backupEligible), authenticator.ForgeFlags(backupEligible, backedUp)),
		{
			step: "§7.1 step 25 (credentialId)", name: "empty", device: es256Only, forge: []authenticator.Variation{authenticator.ForgeCredentialID([]byte{}), authenticator.ForgeAnswerID(random(16))},
			reason: malformed, control: []authenticator.Variation{authenticator.ForgeCredentialID(random(16))},
		},
		forgedCase("§7.1 step 25 (credentialId)", "of 1024 bytes", malformed, authenticator.ForgeCredentialID(random(1024)), authenticator.ForgeCredentialID(random(1023))),
		forgedCase("§7.1 step 25 (credentialId)", "different from the response's id", malformed, authenticator.ForgeAnswerID([]byte("another"))),

		forgedCase("§6.1", "authData of 36 bytes", malformed, truncateData(36)),
		forgedCase("§6.1", "authData truncated in the AAGUID", malformed, truncateData(50)),
		forgedCase("§6.1", "authData truncated in the credential id", malformed, truncateData(60)),
		forgedCase("§6.1", "authData truncated in the key", malformed, truncateData(100)),
		forgedCase("§6.1", "a byte after authData", malformed, withExtensionData(none, 0)),
		forgedCase("§6.1", "AT set without attested data", malformed, truncateData(37)),
		forgedCase("§6.1", "AT not set, with attested data", malformed, authenticator.ForgeFlags(none, attestedData)),
		forgedCase("§6.1", "AT not set, without attested data", malformed, authenticator.ForgeAuthenticatorData(func(data []byte) []byte { data[32] &^= byte(attestedData); return data[:37] })),
		forgedCase("§6.1", "AT not set, ED set for the attested data", malformed, authenticator.ForgeFlags(extensionData, attestedData)),
		forgedCase("§6.1", "ED set without extensions", malformed, authenticator.ForgeFlags(extensionData, none), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "ED not set, with extensions", malformed, withExtensionData(none, 0xa0), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "extensions an array", malformed, withExtensionData(extensionData, 0x80), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "extensions truncated", malformed, withExtensionData(extensionData, 0xa1), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.1", "a byte after the extensions", malformed, withExtensionData(extensionData, 0xa0, 0), withExtensionData(extensionData, 0xa0)),
		forgedCase("§6.5.1", "a credential id length that is too large by one", malformed, authenticator.ForgeAuthenticatorData(func(data []byte) []byte { data[54]++; return data })),
		forgedCase("§6.5.1", "a credential id length that is too small by one", malformed, authenticator.ForgeAuthenticatorData(func(data []byte) []byte { data[54]--; return data })),
		forgedCase("§6.5.1", "a credential id length of 65535", malformed, authenticator.ForgeAuthenticatorData(func(data []byte) []byte { data[53], data[54] = 0xff, 0xff; return data })),
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// changeAttestationObject changes members of the attestation object. A nil value removes the member.
func changeAttestationObject(changes map[string]any) authenticator.Variation {
	return authenticator.ForgeAttestationObject(func(object map[string]any) {
		for name, value := range changes {
			if value == nil {
				delete(object, name)
			} else {
				object[name] = value
			}
		}
	})
}

func invalidAttestationObjects() []invalidCase {
	const step, malformed = "Resp-3", domain.ReasonMalformed
	object := func(name string, changes map[string]any, control ...authenticator.Variation) invalidCase {
		return forgedCase(step, name, malformed, changeAttestationObject(changes), control...)
	}
	encoded := func(name string, rewrite func([]byte) []byte, control ...authenticator.Variation) invalidCase {
		return forgedCase(step, name, malformed, authenticator.ForgeEncodedObject(rewrite), control...)
	}
	return []invalidCase{
		object("no fmt", map[string]any{"fmt": nil}, changeAttestationObject(map[string]any{"epAtt": false})),
		object("fmt a number", map[string]any{"fmt": 7}),
		object("fmt a byte string", map[string]any{"fmt": []byte("none")}),
		object("fmt an array", map[string]any{"fmt": []string{"none"}}),
		object("Fmt instead of fmt", map[string]any{"fmt": nil, "Fmt": "none"}),
		object("Fmt beside fmt", map[string]any{"Fmt": "packed"}),
		object("ATTSTMT beside attStmt", map[string]any{"ATTSTMT": map[string]any{"sig": []byte{1}}}),
		object("authdata beside authData", map[string]any{"authdata": []byte{1}}),
		object("no attStmt", map[string]any{"attStmt": nil}),
		object("attStmt a string", map[string]any{"attStmt": "none"}),
		object("attStmt an array", map[string]any{"attStmt": []any{}}),
		object("attStmt a number", map[string]any{"attStmt": 0}),
		object("attStmt with a number as a key", map[string]any{"attStmt": map[int]int{1: 1}}),
		object("AttStmt instead of attStmt", map[string]any{"attStmt": nil, "AttStmt": map[string]any{}}),
		object("no authData", map[string]any{"authData": nil}),
		object("authData a string", map[string]any{"authData": "AA"}),
		object("authData a map", map[string]any{"authData": map[string]any{}}),
		object("authData an array of numbers", map[string]any{"authData": []int{1, 2, 3}}),
		object("authData empty", map[string]any{"authData": []byte{}}),
		encoded("attStmt null", func(object []byte) []byte { return replaceOnce(object, "\x67attStmt\xa0", "\x67attStmt\xf6") }),
		encoded("authData null", func(object []byte) []byte {
			return append(object[:bytes.Index(object, []byte("\x68authData"))+9], 0xf6)
		}),
		encoded("an extra byte at the end", func(object []byte) []byte { return append(object, 0) }),
		encoded("a second object at the end", func(object []byte) []byte { return append(object, object...) }),
		encoded("truncated", func(object []byte) []byte { return object[:len(object)-1] }),
		encoded("truncated to half its length", func(object []byte) []byte { return object[:len(object)/2] }),
		encoded("an array", func([]byte) []byte { return []byte{0x80} }),
		encoded("an empty map", func([]byte) []byte { return []byte{0xa0} }),
		encoded("a string", func([]byte) []byte { return []byte("\x64none") }),
		encoded("not CBOR", func([]byte) []byte { return []byte("\xff\xff") }),
		encoded("JSON", func([]byte) []byte { return []byte(`{"fmt":"none","attStmt":{}}`) }),
		encoded("a map length of four", func(object []byte) []byte { object[0] = 0xa4; return object }),
		encoded("a map length of two", func(object []byte) []byte { object[0] = 0xa2; return object }),
		encoded("of indefinite length", func(object []byte) []byte { object[0] = 0xbf; return append(object, 0xff) }),
		encoded("a duplicate fmt", func(object []byte) []byte {
			return append([]byte("\xa4\x63fmt\x64none"), object[1:]...)
		}),
		encoded("tagged", func(object []byte) []byte { return append([]byte{0xd9, 0xd9, 0xf7}, object...) }),
		encoded("an authData length that is too large by one", func(object []byte) []byte {
			object[bytes.Index(object, []byte("\x68authData"))+10]++
			return object
		}),
		encoded("an authData length that is too small by one", func(object []byte) []byte {
			object[bytes.Index(object, []byte("\x68authData"))+10]--
			return object
		}),
	}
}

func replaceOnce(in []byte, old, replacement string) []byte {
	if !bytes.Contains(in, []byte(old)) {
		panic("no " + old)
	}
	return bytes.Replace(in, []byte(old), []byte(replacement), 1)
}

// changeCOSEKey changes labels of the new passkey's key: 1 kty, 3 alg, -1 crv or n, -2 x or e, -3 y. A nil value removes the
// label.
func changeCOSEKey(changes map[int]any) authenticator.Variation {
	return authenticator.ForgeCOSEKey(func(key map[int]any) {
		for label, value := range changes {
			if value == nil {
				delete(key, label)
			} else {
				key[label] = value
			}
		}
	})
}

func rsaKey(bits int, algorithm int, exponent ...byte) authenticator.Variation {
	return changeCOSEKey(map[int]any{1: 3, 3: algorithm, -1: rsaModulus(bits), -2: exponent, -3: nil})
}

func rsaKeyWithModulus(modulus []byte) authenticator.Variation {
	return changeCOSEKey(map[int]any{1: 3, 3: -257, -1: modulus, -2: []byte{1, 0, 1}, -3: nil})
}

// rsaModulus returns the modulus of a new RSA key, or just a number if the length is not allowed.
func rsaModulus(bits int) []byte {
	if bits < 2048 || bits > 4096 {
		return new(big.Int).SetBit(big.NewInt(1), bits-1, 1).Bytes()
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key.N.Bytes()
}

// ed25519Key makes the key an EdDSA key on the given COSE curve; 6 is Ed25519.
func ed25519Key(curve int, point []byte) authenticator.Variation {
	return changeCOSEKey(map[int]any{1: 1, 3: -8, -1: curve, -2: point, -3: nil})
}

// basePoint returns the encoded base point of Ed25519 (RFC 8032, section 5.1).
func basePoint() []byte { return append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...) }

// ed25519Point returns an encoded point with the given first and last byte, and all other bits set.
func ed25519Point(first, last string) []byte {
	return unhex(first + strings.Repeat("ff", 30) + last)
}

func unhex(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

func invalidPublicKeys() []invalidCase {
	const step = "§7.1 step 20 (alg)"
	const malformed, algorithm = domain.ReasonMalformed, domain.ReasonAlgorithmNotAllowed
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point, err := p384.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	key := func(name string, reason domain.Reason, changes map[int]any, control ...authenticator.Variation) invalidCase {
		return forgedCase("Resp-4", name, reason, changeCOSEKey(changes), control...)
	}
	encoded := func(name string, rewrite func([]byte) []byte) invalidCase {
		return forgedCase("§6.5.1", name, malformed, authenticator.ForgeEncodedKey(rewrite))
	}
	coordinate := func(label int, change func([]byte) []byte) authenticator.Variation {
		return authenticator.ForgeCOSEKey(func(key map[int]any) { key[label] = change(bytes.Clone(key[label].([]byte))) })
	}
	return []invalidCase{
		forgedCase(step, "ES384, not offered", algorithm, changeCOSEKey(map[int]any{3: -35, -1: 2, -2: point[1:49], -3: point[49:]})),
		forgedCase(step, "PS256, not offered", algorithm, rsaKey(2048, -37, 1, 0, 1), rsaKey(2048, -257, 1, 0, 1)),
		forgedCase(step, "RS1, not offered", algorithm, rsaKey(2048, -65535, 1, 0, 1), rsaKey(2048, -257, 1, 0, 1)),
		forgedCase(step, "ES256K, not offered", algorithm, changeCOSEKey(map[int]any{3: -47, -1: 8})),
		forgedCase(step, "Ed448, not offered", algorithm, changeCOSEKey(map[int]any{1: 1, 3: -53, -1: 7, -2: random(57), -3: nil})),
		forgedCase(step, "EdDSA on Ed448", malformed, ed25519Key(7, random(57)), ed25519Key(6, basePoint())),
		forgedCase(step, "an unknown algorithm", algorithm, changeCOSEKey(map[int]any{3: 1 << 30})),
		forgedCase(step, "RSA key of 1024 bits", algorithm, rsaKey(1024, -257, 1, 0, 1), rsaKey(2048, -257, 1, 0, 1)),
		forgedCase(step, "RSA key of 8192 bits", algorithm, rsaKey(8192, -257, 1, 0, 1), rsaKey(4096, -257, 1, 0, 1)),
		forgedCase("Resp-4", "RSA key without n", malformed, changeCOSEKey(map[int]any{1: 3, 3: -257, -1: nil, -2: []byte{1, 0, 1}, -3: nil})),
		forgedCase("Resp-4", "RSA key without e", malformed, changeCOSEKey(map[int]any{1: 3, 3: -257, -1: random(256), -2: nil, -3: nil})),
		forgedCase("Resp-4", "RSA key with alg ES256", malformed, rsaKey(2048, -7, 1, 0, 1)),
		forgedCase("Resp-4", "RSA key with the exponent 1", malformed, rsaKey(2048, -257, 1), rsaKey(2048, -257, 1, 0, 1)),
		forgedCase("Resp-4", "RSA key with the exponent 2", malformed, rsaKey(2048, -257, 2)),
		forgedCase("Resp-4", "RSA key with the exponent 3", malformed, rsaKey(2048, -257, 3)),
		forgedCase("Resp-4", "RSA key with the exponent 65535", malformed, rsaKey(2048, -257, 0xff, 0xff)),
		forgedCase("Resp-4", "RSA key with an even exponent", malformed, rsaKey(2048, -257, 1, 0, 0)),
		forgedCase("Resp-4", "RSA key with the exponent 2^31+1", malformed, rsaKey(2048, -257, 0x80, 0, 0, 1), rsaKey(2048, -257, 0x7f, 0xff, 0xff, 0xff)),
		forgedCase("Resp-4", "RSA key with the exponent 2^32+1", malformed, rsaKey(2048, -257, 1, 0, 0, 0, 1)),
		forgedCase("Resp-4", "RSA key with a padded exponent", malformed, rsaKey(2048, -257, 0, 1, 0, 1)),
		forgedCase("Resp-4", "RSA key with a padded modulus", malformed, rsaKeyWithModulus(append([]byte{0}, rsaModulus(2048)...))),
		forgedCase("Resp-4", "RSA key with an even modulus", malformed, rsaKeyWithModulus(new(big.Int).Lsh(new(big.Int).SetBytes(rsaModulus(2048)), 1).Bytes())),
		forgedCase("Resp-4", "RSA key with the factor 3 in its modulus", malformed, rsaKeyWithModulus(new(big.Int).Mul(big.NewInt(3), new(big.Int).SetBytes(rsaModulus(2048))).Bytes())),

		forgedCase("Resp-4", "Ed25519 key that is the identity", malformed, ed25519Key(6, append([]byte{1}, make([]byte, 31)...)), ed25519Key(6, basePoint())),
		forgedCase("Resp-4", "Ed25519 key of order 2", malformed, ed25519Key(6, ed25519Point("ec", "7f"))),
		forgedCase("Resp-4", "Ed25519 key of order 4", malformed, ed25519Key(6, make([]byte, 32))),
		forgedCase("Resp-4", "Ed25519 key of order 8", malformed, ed25519Key(6, unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))),
		forgedCase("Resp-4", "Ed25519 key of order 8, the other point", malformed, ed25519Key(6, unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))),
		forgedCase("Resp-4", "Ed25519 key that is the identity, not canonical", malformed, ed25519Key(6, ed25519Point("ee", "7f"))),
		forgedCase("Resp-4", "Ed25519 key of order 4, not canonical", malformed, ed25519Key(6, ed25519Point("ed", "7f"))),
		forgedCase("Resp-4", "Ed25519 key that is not a point", malformed, ed25519Key(6, append([]byte{2}, make([]byte, 31)...))),

		key("no kty", malformed, map[int]any{1: nil}),
		key("no alg", algorithm, map[int]any{3: nil}),
		key("no crv", malformed, map[int]any{-1: nil}),
		key("no x", malformed, map[int]any{-2: nil}),
		key("no y", malformed, map[int]any{-3: nil}),
		key("kty a string", malformed, map[int]any{1: "EC2"}),
		key("kty OKP", malformed, map[int]any{1: 1}),
		key("kty RSA", malformed, map[int]any{1: 3}),
		key("an unknown kty", malformed, map[int]any{1: 99}),
		key("alg a string", malformed, map[int]any{3: "ES256"}),
		key("alg EdDSA for an EC key", malformed, map[int]any{3: -8}),
		key("alg RS256 for an EC key", malformed, map[int]any{3: -257}),
		key("crv P-384", malformed, map[int]any{-1: 2}),
		key("crv of Ed25519", malformed, map[int]any{-1: 6}),
		key("crv a string", malformed, map[int]any{-1: "P-256"}),
		key("x a number", malformed, map[int]any{-2: 7}),
		key("y a boolean", malformed, map[int]any{-3: true}),
		key("x empty", malformed, map[int]any{-2: []byte{}}),
		key("a point off the curve", malformed, map[int]any{-2: make([]byte, 32)}),
		key("the point at infinity", malformed, map[int]any{-2: make([]byte, 32), -3: make([]byte, 32)}),
		key("Ed25519 key of 31 bytes", malformed, map[int]any{1: 1, 3: -8, -1: 6, -2: random(31), -3: nil}),
		key("Ed25519 key of 33 bytes", malformed, map[int]any{1: 1, 3: -8, -1: 6, -2: random(33), -3: nil}),
		key("Ed25519 key without x", malformed, map[int]any{1: 1, 3: -8, -1: 6, -2: nil, -3: nil}),
		key("Ed25519 key without crv", malformed, map[int]any{1: 1, 3: -8, -1: nil, -2: random(32), -3: nil}),
		forgedCase("Resp-4", "x of 31 bytes", malformed, coordinate(-2, func(x []byte) []byte { return x[1:] })),
		forgedCase("Resp-4", "x of 33 bytes", malformed, coordinate(-2, func(x []byte) []byte { return append([]byte{0}, x...) })),
		forgedCase("Resp-4", "y of 33 bytes", malformed, coordinate(-3, func(y []byte) []byte { return append([]byte{0}, y...) })),
		forgedCase("Resp-4", "x with the bytes of two coordinates", malformed, coordinate(-2, func(x []byte) []byte { return append(x, x...) })),

		forgedCase("§6.5.1", "key_ops, an optional member", malformed, changeCOSEKey(map[int]any{4: []int{2}})),
		forgedCase("§6.5.1", "kid, an optional member", malformed, changeCOSEKey(map[int]any{2: []byte("kid")})),
		forgedCase("§6.5.1", "the private key, too", malformed, changeCOSEKey(map[int]any{-4: random(32)})),
		forgedCase("§6.5.1", "a member with a string as its label", malformed, authenticator.ForgeEncodedKey(func(key []byte) []byte { key[0]++; return append(key, "\x61a\x01"...) })),
		encoded("a key that is not a map", func([]byte) []byte { return []byte{0x01} }),
		forgedCase("§6.5.1", "an empty key", algorithm, authenticator.ForgeEncodedKey(func([]byte) []byte { return []byte{0xa0} })),
		encoded("a duplicate alg", func(key []byte) []byte { key[0]++; return append(key, 0x03, 0x26) }),
		encoded("a label that is not in the shortest form", func(key []byte) []byte { return replaceOnce(key, "\xa5\x01\x02", "\xa5\x18\x01\x02") }),
		encoded("a value that is not in the shortest form", func(key []byte) []byte { return replaceOnce(key, "\xa5\x01\x02", "\xa5\x01\x18\x02") }),
		encoded("a length that is not in the shortest form", func(key []byte) []byte { return replaceOnce(key, "\x21\x58\x20", "\x21\x59\x00\x20") }),
		encoded("labels out of order", func(key []byte) []byte { return replaceOnce(key, "\x01\x02\x03\x26", "\x03\x26\x01\x02") }),
		encoded("of indefinite length", func(key []byte) []byte { key[0] = 0xbf; return append(key, 0xff) }),
		encoded("x of indefinite length", func(key []byte) []byte {
			i := bytes.Index(key, []byte("\x21\x58\x20"))
			return append(append(append(bytes.Clone(key[:i]), 0x21, 0x5f, 0x58, 0x20), key[i+3:i+35]...), append([]byte{0xff}, key[i+35:]...)...)
		}),
		encoded("tagged", func(key []byte) []byte { return append([]byte{0xd9, 0xd9, 0xf7}, key...) }),
		encoded("a map length of six", func(key []byte) []byte { key[0]++; return key }),
		encoded("a map length of four", func(key []byte) []byte { key[0]--; return key }),
		encoded("truncated", func(key []byte) []byte { return key[:len(key)-1] }),
		encoded("an extra byte at the end", func(key []byte) []byte { return append(key, 0) }),
	}
}
