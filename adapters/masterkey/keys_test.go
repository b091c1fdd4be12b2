package masterkey

import (
	"bytes"
	"reflect"
	"testing"
)

// Keys for different purposes differ, and values made with a previous secret are still accepted.
// Requirement: ASVS-6.5.2
func TestNewKeys_DifferByPurposeAndSecret(t *testing.T) {
	current, previous := newKey(t, 1), newKey(t, 2)
	keys, err := NewKeys(current, []Key{previous})
	if err != nil {
		t.Fatal(err)
	}
	before, err := NewKeys(previous, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	add := func(name string, key []byte) {
		if len(key) != 32 || seen[string(key)] {
			t.Errorf("%s: %d bytes, seen before %t", name, len(key), seen[string(key)])
		}
		seen[string(key)] = true
	}
	got, old := reflect.ValueOf(keys), reflect.ValueOf(before)
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		if field := got.Field(i); field.Type().Elem().Kind() == reflect.Uint8 {
			add(name, field.Bytes())
		} else if field.Len() != 2 || !bytes.Equal(field.Index(1).Bytes(), old.Field(i).Index(0).Bytes()) {
			t.Errorf("%s: %d keys, want those of the current and the previous secret", name, field.Len())
		} else {
			add(name, field.Index(0).Bytes())
			add(name, field.Index(1).Bytes())
		}
	}
}

func newKey(t *testing.T, fill byte) Key {
	t.Helper()
	return Key{secret: bytes.Repeat([]byte{fill}, Size)}
}
