package domain_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func decoysWithKeys(keys ...string) domain.Decoys {
	d := domain.Decoys{Limit: 20}
	for _, key := range keys {
		d.Keys = append(d.Keys, []byte(key))
	}
	return d
}

func sameDescriptor(a, b domain.CredentialDescriptor) bool {
	return a.ID == b.ID && slices.Equal(a.Transports, b.Transports)
}

// Requirement: WebAuthn-14.6.2
func TestDecoys_StablePerAddressAndKey(t *testing.T) {
	here := decoysWithKeys("installation key")
	first := here.Descriptors("ada@example.org")
	if again := here.Descriptors("ada@example.org"); !slices.EqualFunc(first, again, sameDescriptor) {
		t.Error("the address has other decoys the second time")
	}
	if rotated := decoysWithKeys("present key", "installation key").Descriptors("ada@example.org"); !slices.EqualFunc(first, rotated, sameDescriptor) {
		t.Error("the address has other decoys after the secret was replaced")
	}
	if others := here.Descriptors("ben@example.org"); slices.EqualFunc(first, others, sameDescriptor) {
		t.Error("two addresses share their decoys")
	}
	if elsewhere := decoysWithKeys("another key").Descriptors("ada@example.org"); slices.EqualFunc(first, elsewhere, sameDescriptor) {
		t.Error("another installation makes the same decoys")
	}
}

// decoyStatistics counts the profiles and the numbers of decoys of many addresses. A profile or a number that decoys never have would
// reveal an account.
func decoyStatistics(t *testing.T, d domain.Decoys) (profiles map[string]int, numbers map[int]int) {
	t.Helper()
	profiles, numbers = map[string]int{}, map[int]int{}
	ids := map[domain.CredentialID]bool{}
	for i := range 4000 {
		decoys := d.Descriptors(domain.Email(fmt.Sprint(i)))
		numbers[len(decoys)]++
		for _, decoy := range decoys {
			profile := fmt.Sprint(len(decoy.ID), decoy.Transports)
			if len(decoy.ID) == 16 && decoy.ID[6]>>4 == 4 && decoy.ID[8]>>6 == 2 {
				profile += " UUID"
			}
			profiles[profile]++
			if ids[decoy.ID] {
				t.Errorf("two decoys have the id %s", decoy.ID)
			}
			ids[decoy.ID] = true
		}
	}
	return profiles, numbers
}

// Requirement: WebAuthn-14.6.2
func TestDecoys_Profiles(t *testing.T) {
	profiles, _ := decoyStatistics(t, decoysWithKeys("key"))
	want := []string{
		"16 []", "16 [hybrid internal]", "16 [hybrid internal] UUID", "16 [internal]", "16 [internal] UUID", "20 []", "20 [hybrid internal]",
		"32 []", "32 [hybrid internal]", "32 [internal]", "48 [nfc usb]", "48 [usb]", "64 []", "64 [nfc usb]", "64 [usb]",
	}
	delete(profiles, "16 [] UUID") // one in 64, by chance
	if got := slices.Sorted(maps.Keys(profiles)); !slices.Equal(got, want) {
		t.Errorf("decoys are %q,\nwant %q", got, want)
	}
	if profiles["16 [internal] UUID"] < profiles["16 [internal]"] {
		t.Errorf("fewer ids are UUIDs than the profiles have: %v", profiles)
	}

	bound := decoysWithKeys("key")
	bound.DeviceBoundOnly = true
	profiles, _ = decoyStatistics(t, bound)
	if got, want := slices.Sorted(maps.Keys(profiles)), []string{"32 [internal]", "48 [nfc usb]", "48 [usb]", "64 [nfc usb]", "64 [usb]"}; !slices.Equal(got, want) {
		t.Errorf("without synced passkeys, decoys are %q, want %q", got, want)
	}
}

// Requirement: WebAuthn-14.6.2
func TestDecoys_CountWithinPasskeyLimit(t *testing.T) {
	for limit, want := range map[domain.PasskeyLimit][]int{1: {1}, 2: {1, 2}, 20: {1, 2, 3, 4, 5, 6, 7, 8}} {
		d := decoysWithKeys("key")
		d.Limit = limit
		_, numbers := decoyStatistics(t, d)
		if got := slices.Sorted(maps.Keys(numbers)); !slices.Equal(got[:min(len(got), len(want))], want) || limit < 20 && len(got) > len(want) {
			t.Errorf("limit %d: %v", limit, numbers)
		}
		for n := 1; n < len(want)-1; n++ {
			if numbers[n] <= numbers[n+1] {
				t.Errorf("limit %d: more addresses have %d decoys than %d", limit, n+1, n)
			}
		}
	}
}

// Requirement: WebAuthn-14.6.2
func TestDecoys_Contains(t *testing.T) {
	here := decoysWithKeys("present key", "former key")
	lengths := map[int]bool{}
	for i := range 500 {
		email := domain.Email(fmt.Sprint(i))
		for name, d := range map[string]domain.Decoys{"the present key": decoysWithKeys("present key"), "a former key": decoysWithKeys("former key")} {
			for _, decoy := range d.Descriptors(email) {
				if lengths[len(decoy.ID)] = true; !here.Contains(decoy.ID) {
					t.Fatalf("a decoy of %s under %s is not recognised", email, name)
				}
				for at := range decoy.ID {
					changed := decoy.ID.Bytes()
					changed[at] ^= 1
					if here.Contains(domain.CredentialID(changed)) {
						t.Fatalf("%x with byte %d changed is taken for a decoy", decoy.ID, at)
					}
				}
				for _, other := range []domain.CredentialID{decoy.ID[1:], decoy.ID[:len(decoy.ID)-1], decoy.ID + "x", decoy.ID + decoy.ID} {
					if here.Contains(other) {
						t.Fatalf("%d bytes of the decoy %x are taken for one", len(other), decoy.ID)
					}
				}
			}
		}
		if foreign := decoysWithKeys("another key").Descriptors(email); here.Contains(foreign[0].ID) {
			t.Fatal("another installation's decoy is taken for one of this one's")
		}
	}
	if want := map[int]bool{16: true, 20: true, 32: true, 48: true, 64: true}; !maps.Equal(lengths, want) {
		t.Errorf("tested lengths %v", lengths)
	}
	for length := range 1100 {
		id := make([]byte, length)
		if rand.Read(id); here.Contains(domain.CredentialID(id)) || here.Contains(domain.CredentialID(bytes.Repeat([]byte{0}, length))) {
			t.Errorf("%d random bytes are taken for a decoy", length)
		}
	}
}
