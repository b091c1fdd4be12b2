package domain

import (
	"crypto/hmac"
	"fmt"
	"slices"
)

// Decoys invents the passkeys of e-mail addresses that have none, so that a sign-in by e-mail does not disclose which addresses have
// an account (WebAuthn Level 3, section 14.6.2). It stores nothing: a decoy is recognised by a tag in its id, which only a server
// that has one of the keys can compute.
type Decoys struct {
	// Keys are derived from the present secret first and from the former ones after it. Decoys are made with the last, oldest key:
	// decoys that changed with the secret would be told from passkeys, which do not change.
	Keys KeyRing[Decoys]
	// Limit is how many passkeys an account may have: more decoys than that would be known as decoys.
	Limit PasskeyLimit
	// DeviceBoundOnly leaves out synced passkeys, which a policy on authenticators does not let in.
	DeviceBoundOnly bool
}

// decoyProfile is what a client sees of a passkey: the length of its id, whether the id is a UUID of version 4, and its transports.
type decoyProfile struct {
	length     int
	uuid       bool
	transports []string
}

var (
	synced, internal, usb, usbAndNFC = []string{"hybrid", "internal"}, []string{"internal"}, []string{"usb"}, []string{"nfc", "usb"}

	// deviceBoundProfiles are those of computers and security keys. Each is as likely as it is listed often.
	deviceBoundProfiles = []decoyProfile{
		{32, false, internal}, {32, false, internal}, {32, false, internal}, {32, false, internal},
		{48, false, usbAndNFC}, {64, false, usbAndNFC}, {48, false, usb}, {64, false, usb},
	}
	// allProfiles are mostly those of synced passkeys: of phones, of browsers, of password managers, and of clients that report no
	// transports.
	allProfiles = append([]decoyProfile{
		{20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced},
		{16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, internal},
		{16, true, synced}, {16, true, synced}, {16, true, internal}, {16, true, internal},
		{32, false, synced}, {32, false, synced}, {32, false, synced},
		{16, false, nil}, {20, false, nil}, {32, false, nil}, {64, false, nil},
	}, deviceBoundProfiles...)
)

// Descriptors returns the decoys of an address: the same ones each time, of every usual shape and number.
func (d Decoys) Descriptors(email Email) []CredentialDescriptor {
	key := d.Keys[len(d.Keys)-1]
	seed := hmacSHA256(key, fmt.Appendf(nil, "7:address%d:%s", len(email), email))
	decoys := make([]CredentialDescriptor, d.count(seed))
	for i := range decoys {
		own := hmacSHA256(seed, []byte{'1', ':', byte(i)})
		shape := d.profiles()[int(own[0])%len(d.profiles())]
		decoys[i] = CredentialDescriptor{ID: shape.id(key, own), Transports: slices.Clone(shape.transports)}
	}
	return decoys
}

// Contains reports whether the id is that of a decoy, of any address. A passkey of another id is taken for one with a probability of
// 1 in 2^56 or less.
func (d Decoys) Contains(id CredentialID) bool {
	length := func(s decoyProfile) bool { return s.length == len(id) }
	if !slices.ContainsFunc(allProfiles, length) {
		return false
	}
	included := false
	for _, key := range d.Keys {
		random, tag := id[:tagOffset(len(id))], id[tagOffset(len(id)):]
		included = hmac.Equal([]byte(tag), decoyTag(key, []byte(random), len(id))) || included
	}
	return included
}

func (d Decoys) profiles() []decoyProfile {
	if d.DeviceBoundOnly {
		return deviceBoundProfiles
	}
	return allProfiles
}

// count is one for five addresses of eight, and each further decoy is there in three cases of eight.
func (d Decoys) count(seed []byte) int {
	n := 1
	for n < min(int(d.Limit), len(seed)) && seed[n] < 3*32 {
		n++
	}
	return n
}

func (s decoyProfile) id(key, seed []byte) CredentialID {
	random := slices.Concat(hmacSHA256(seed, []byte("2:id")), hmacSHA256(seed, []byte("14:rest of the id")))[:tagOffset(s.length)]
	if s.uuid { // RFC 9562, section 5.4
		random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	}
	return CredentialID(slices.Concat(random, decoyTag(key, random, s.length)))
}

// tagOffset is where the tag begins in an id of the given length: behind the bits that a UUID fixes.
func tagOffset(length int) int { return length/2 + 1 }

func decoyTag(key, random []byte, length int) []byte {
	return hmacSHA256(key, fmt.Appendf(nil, "3:tag%d:%s", len(random), random))[:length-tagOffset(length)]
}
