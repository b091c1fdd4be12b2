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

func TestDecoys_StablePerAddressAndKey(t *testing.T) {
	here := decoysWithKeys("installation key")
	first := here.Descriptors("nobody@example.org")
	if again := here.Descriptors("nobody@example.org"); !slices.EqualFunc(first, again, sameDescriptor) {
		t.Error("the same address has other decoys at the second look")
	}
	if rotated := decoysWithKeys("present key", "installation key").Descriptors("nobody@example.org"); !slices.EqualFunc(first, rotated, sameDescriptor) {
		t.Error("the address has other decoys after the secret was replaced")
	}
	if others := here.Descriptors("noone@example.org"); slices.EqualFunc(first, others, sameDescriptor) {
		t.Error("two addresses share their decoys")
	}
	if elsewhere := decoysWithKeys("another key").Descriptors("nobody@example.org"); slices.EqualFunc(first, elsewhere, sameDescriptor) {
		t.Error("another installation makes the same decoys")
	}
}

// decoyStatistics are the shapes, the numbers and the ids of many addresses' decoys. A shape or a number that decoys never have would prove an
// account.
func decoyStatistics(t *testing.T, d domain.Decoys) (shapes map[string]int, numbers map[int]int) {
	t.Helper()
	shapes, numbers = map[string]int{}, map[int]int{}
	ids := map[domain.CredentialID]bool{}
	for i := range 4000 {
		decoys := d.Descriptors(domain.Email(fmt.Sprint(i)))
		numbers[len(decoys)]++
		for _, decoy := range decoys {
			shape := fmt.Sprint(len(decoy.ID), decoy.Transports)
			if len(decoy.ID) == 16 && decoy.ID[6]>>4 == 4 && decoy.ID[8]>>6 == 2 {
				shape += " UUID"
			}
			shapes[shape]++
			if ids[decoy.ID] {
				t.Errorf("the decoy %s is there twice", decoy.ID)
			}
			ids[decoy.ID] = true
		}
	}
	return shapes, numbers
}

func TestDecoys_Profiles(t *testing.T) {
	shapes, _ := decoyStatistics(t, decoysWithKeys("key"))
	want := []string{
		"16 []", "16 [hybrid internal]", "16 [hybrid internal] UUID", "16 [internal]", "16 [internal] UUID", "20 []", "20 [hybrid internal]",
		"32 []", "32 [hybrid internal]", "32 [internal]", "48 [nfc usb]", "48 [usb]", "64 []", "64 [nfc usb]", "64 [usb]",
	}
	delete(shapes, "16 [] UUID") // one in 64 by chance
	if got := slices.Sorted(maps.Keys(shapes)); !slices.Equal(got, want) {
		t.Errorf("decoys are %q,\nwant %q", got, want)
	}
	if shapes["16 [internal] UUID"] < shapes["16 [internal]"] {
		t.Errorf("ids that are UUIDs are rarer than by a shape of their own: %v", shapes)
	}

	bound := decoysWithKeys("key")
	bound.DeviceBoundOnly = true
	shapes, _ = decoyStatistics(t, bound)
	if got, want := slices.Sorted(maps.Keys(shapes)), []string{"32 [internal]", "48 [nfc usb]", "48 [usb]", "64 [nfc usb]", "64 [usb]"}; !slices.Equal(got, want) {
		t.Errorf("where no synced passkeys join, decoys are %q, want %q", got, want)
	}
}

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
						t.Fatalf("%x with byte %d changed passes for a decoy", decoy.ID, at)
					}
				}
				for _, other := range []domain.CredentialID{decoy.ID[1:], decoy.ID[:len(decoy.ID)-1], decoy.ID + "x", decoy.ID + decoy.ID} {
					if here.Contains(other) {
						t.Fatalf("%d bytes of the decoy %x pass for one", len(other), decoy.ID)
					}
				}
			}
		}
		if foreign := decoysWithKeys("another key").Descriptors(email); here.Contains(foreign[0].ID) {
			t.Fatal("another installation's decoy is taken for one of this one's")
		}
	}
	if want := map[int]bool{16: true, 20: true, 32: true, 48: true, 64: true}; !maps.Equal(lengths, want) {
		t.Errorf("looked at lengths %v", lengths)
	}
	for length := range 1100 {
		id := make([]byte, length)
		if rand.Read(id); here.Contains(domain.CredentialID(id)) || here.Contains(domain.CredentialID(bytes.Repeat([]byte{0}, length))) {
			t.Errorf("%d random bytes pass for a decoy", length)
		}
	}
}
