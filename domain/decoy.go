package domain

import (
	"crypto/hmac"
	"fmt"
	"slices"
)

// Decoys makes up passkeys for e-mail addresses without an account, so that sign-in options do not reveal which addresses have one
// (WebAuthn Level 3, section 14.6.2). It stores nothing: the id of a decoy contains a tag that only the keys can compute.
type Decoys struct {
	// Keys makes decoys with its last, oldest key: passkeys do not change with the secret, so that decoys that did would be
	// recognisable.
	Keys KeyRing[Decoys]
	// Limit is the maximum number of passkeys of an account. More decoys would be recognisable.
	Limit PasskeyLimit
	// DeviceBoundOnly excludes synced passkeys, which a policy on authenticators rejects.
	DeviceBoundOnly bool
}

// decoyProfile is the visible form of a passkey: the length of its id, whether the id is a UUID of version 4, and its transports.
type decoyProfile struct {
	length     int
	uuid       bool
	transports []string
}

var (
	synced, internal, usb, usbAndNFC = []string{"hybrid", "internal"}, []string{"internal"}, []string{"usb"}, []string{"nfc", "usb"}

	// deviceBoundProfiles are the profiles of computers and security keys. A profile's share of the list is its probability.
	deviceBoundProfiles = []decoyProfile{
		{32, false, internal}, {32, false, internal}, {32, false, internal}, {32, false, internal},
		{48, false, usbAndNFC}, {64, false, usbAndNFC}, {48, false, usb}, {64, false, usb},
	}
	// allProfiles also has the profiles of synced passkeys, of phones, browsers, password managers and clients that report no
	// transports.
	allProfiles = append([]decoyProfile{
		{20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced}, {20, false, synced},
		{16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, synced}, {16, false, internal},
		{16, true, synced}, {16, true, synced}, {16, true, internal}, {16, true, internal},
		{32, false, synced}, {32, false, synced}, {32, false, synced},
		{16, false, nil}, {20, false, nil}, {32, false, nil}, {64, false, nil},
	}, deviceBoundProfiles...)
)

// Descriptors returns the decoys of an address, the same ones each time.
func (d Decoys) Descriptors(email Email) []CredentialDescriptor {
	key := d.Keys[len(d.Keys)-1]
	seed := hmacSHA256(key, fmt.Appendf(nil, "7:address%d:%s", len(email), email))
	decoys := make([]CredentialDescriptor, d.count(seed))
	for i := range decoys {
		decoySeed := hmacSHA256(seed, []byte{'1', ':', byte(i)})
		profile := d.profiles()[int(decoySeed[0])%len(d.profiles())]
		decoys[i] = CredentialDescriptor{ID: profile.id(key, decoySeed), Transports: slices.Clone(profile.transports)}
	}
	return decoys
}

// Contains reports whether the id is that of a decoy of any address. It is wrong about another id with a probability of at most
// 2^-56.
func (d Decoys) Contains(id CredentialID) bool {
	sameLength := func(p decoyProfile) bool { return p.length == len(id) }
	if !slices.ContainsFunc(allProfiles, sameLength) {
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

// count returns the number of an address's decoys: one, and each further one with a probability of 3/8.
func (d Decoys) count(seed []byte) int {
	n := 1
	for n < min(int(d.Limit), len(seed)) && seed[n] < 3*32 {
		n++
	}
	return n
}

func (p decoyProfile) id(key, seed []byte) CredentialID {
	random := slices.Concat(hmacSHA256(seed, []byte("2:id")), hmacSHA256(seed, []byte("14:rest of the id")))[:tagOffset(p.length)]
	if p.uuid { // RFC 9562, section 5.4
		random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	}
	return CredentialID(slices.Concat(random, decoyTag(key, random, p.length)))
}

// tagOffset returns the position of the tag in an id of the given length, after the bits that a UUID fixes.
func tagOffset(length int) int { return length/2 + 1 }

func decoyTag(key, random []byte, length int) []byte {
	return hmacSHA256(key, fmt.Appendf(nil, "3:tag%d:%s", len(random), random))[:length-tagOffset(length)]
}
