package authenticator_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

const origin = "https://keylodge.example"

func creation(user string, more string, algorithms ...authenticator.Algorithm) []byte {
	var params []string
	for _, a := range algorithms {
		params = append(params, fmt.Sprintf(`{"type":"public-key","alg":%d}`, a))
	}
	return fmt.Appendf(nil, `{"rp":{"id":"keylodge.example","name":"Keylodge"},"user":{"id":%q,"name":"a","displayName":"a"},
		"challenge":"AAECAwQFBgcICQoLDA0ODw","pubKeyCredParams":[%s]%s}`,
		authenticator.Base64URL(user), strings.Join(params, ","), more)
}

func request(more string) []byte {
	return fmt.Appendf(nil, `{"rpId":"keylodge.example","challenge":"AAECAwQFBgcICQoLDA0ODw"%s}`, more)
}

func listed(member string, ids ...authenticator.Base64URL) string {
	var descriptors []string
	for _, id := range ids {
		descriptors = append(descriptors, fmt.Sprintf(`{"type":"public-key","id":%q}`, id))
	}
	return fmt.Sprintf(`,%q:[%s]`, member, strings.Join(descriptors, ","))
}

func create(t *testing.T, a *authenticator.Authenticator, user string) authenticator.RegistrationResponse {
	t.Helper()
	response, err := a.Create(creation(user, "", authenticator.ES256))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestCreate_FirstSupportedAlgorithm(t *testing.T) {
	for _, c := range []struct {
		offered, supported []authenticator.Algorithm
		want               authenticator.Algorithm
		key                any
	}{
		{[]authenticator.Algorithm{-7, -8, -257}, []authenticator.Algorithm{-257, -8, -7}, authenticator.ES256, &ecdsa.PublicKey{}},
		{[]authenticator.Algorithm{-35, -8, -7}, []authenticator.Algorithm{-7, -8}, authenticator.EdDSA, ed25519.PublicKey{}},
		{[]authenticator.Algorithm{-7, -257}, []authenticator.Algorithm{-257}, authenticator.RS256, &rsa.PublicKey{}},
	} {
		response, err := authenticator.New(origin, authenticator.WithAlgorithms(c.supported...)).Create(creation("ada", "", c.offered...))
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.ParsePKIXPublicKey(response.Response.PublicKey)
		if err != nil || reflect.TypeOf(key) != reflect.TypeOf(c.key) || response.Response.PublicKeyAlgorithm != c.want {
			t.Errorf("offered %d, supported %d: %T for %d, %v", c.offered, c.supported, key, response.Response.PublicKeyAlgorithm, err)
		}
	}
	_, err := authenticator.New(origin, authenticator.WithAlgorithms(authenticator.ES256)).Create(creation("ada", "", authenticator.EdDSA))
	if !errors.Is(err, authenticator.ErrNotSupported) {
		t.Errorf("nothing in common: %v", err)
	}
}

func TestCreate_ExcludedCredential(t *testing.T) {
	device := authenticator.New(origin)
	first := create(t, device, "ada")
	again := creation("ada", listed("excludeCredentials", []byte("another"), first.ID), authenticator.ES256)
	if _, err := device.Create(again); !errors.Is(err, authenticator.ErrInvalidState) {
		t.Errorf("on the same device: %v", err)
	}
	if _, err := authenticator.New(origin).Create(again); err != nil {
		t.Errorf("on another device: %v", err)
	}
}

func TestGet_AllowedCredentials(t *testing.T) {
	device := authenticator.New(origin)
	if _, err := device.Get(request("")); !errors.Is(err, authenticator.ErrNotAllowed) {
		t.Errorf("without any passkey: %v", err)
	}
	ada, ben := create(t, device, "ada"), create(t, device, "ben")
	for _, c := range []struct {
		name       string
		more       string
		variations []authenticator.Variation
		want       authenticator.RegistrationResponse
		handle     string
	}{
		{"the newest", "", nil, ben, "ben"},
		{"the chosen", "", []authenticator.Variation{authenticator.Choose([]byte("ada"))}, ada, "ada"},
		{"the allowed", listed("allowCredentials", []byte("another"), ada.ID), nil, ada, "ada"},
		{"of an empty list", listed("allowCredentials"), nil, ben, "ben"},
	} {
		got, err := device.Get(request(c.more), c.variations...)
		if err != nil || !bytes.Equal(got.ID, c.want.ID) || string(got.Response.UserHandle) != c.handle {
			t.Errorf("%s: %s, %v", c.name, got.ID, err)
		}
	}
	if _, err := device.Get(request(listed("allowCredentials", []byte("another")))); !errors.Is(err, authenticator.ErrNotAllowed) {
		t.Errorf("none allowed: %v", err)
	}
	if _, err := device.Get([]byte(`{"rpId":"another.example","challenge":"AA"}`)); !errors.Is(err, authenticator.ErrNotAllowed) {
		t.Errorf("another relying party: %v", err)
	}
}

func TestGet_CountersAndBackupFlags(t *testing.T) {
	for name, c := range map[string]struct {
		options []authenticator.Option
		flags   authenticator.Flags
		counts  []uint32
	}{
		"synced": {nil, authenticator.BackupEligible | authenticator.BackedUp, []uint32{0, 0, 0}},
		"device": {[]authenticator.Option{authenticator.DeviceBound()}, 0, []uint32{1, 2, 3}},
	} {
		device := authenticator.New(origin, c.options...)
		data := [][]byte{create(t, device, "ada").Response.AuthenticatorData}
		for range 2 {
			response, err := device.Get(request(""))
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, response.Response.AuthenticatorData)
		}
		var counts []uint32
		for _, d := range data {
			counts = append(counts, binary.BigEndian.Uint32(d[33:37]))
			const backup = authenticator.BackupEligible | authenticator.BackedUp
			if got := authenticator.Flags(d[32]) & backup; got != c.flags {
				t.Errorf("%s: flags %08b", name, got)
			}
		}
		if !slices.Equal(counts, c.counts) {
			t.Errorf("%s: counters %d, want %d", name, counts, c.counts)
		}
	}
}

func TestResponses_JSONMatchesBrowsers(t *testing.T) {
	device := authenticator.New(origin)
	registration, err := device.Create(creation("ada", `,"extensions":{"credProps":true}`, authenticator.ES256))
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, registration, "authenticatorAttachment clientExtensionResults clientExtensionResults.credProps clientExtensionResults.credProps.rk "+
		"id rawId response response.attestationObject response.authenticatorData response.clientDataJSON response.publicKey "+
		"response.publicKeyAlgorithm response.transports type")
	wantClientData := `{"type":"webauthn.create","challenge":"AAECAwQFBgcICQoLDA0ODw","origin":"https://keylodge.example","crossOrigin":false}`
	if got := string(registration.Response.ClientDataJSON); got != wantClientData {
		t.Errorf("client data %s", got)
	}

	authentication, err := device.Get(request(""))
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, authentication, "authenticatorAttachment clientExtensionResults id rawId response response.authenticatorData "+
		"response.clientDataJSON response.signature response.userHandle type")

	anonymous, err := device.Get(request(""), authenticator.ForgeUserHandle(nil))
	if err != nil {
		t.Fatal(err)
	}
	if encoded, err := json.Marshal(anonymous); err != nil || bytes.Contains(encoded, []byte("userHandle")) {
		t.Errorf("%s, %v", encoded, err)
	}
}

func wantMembers(t *testing.T, response any, want string) {
	t.Helper()
	encoded, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(encoded, &members); err != nil {
		t.Fatal(err)
	}
	names := memberNames("", members)
	slices.Sort(names)
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if members["id"] != members["rawId"] || members["type"] != "public-key" {
		t.Errorf("%s", encoded)
	}
}

func memberNames(prefix string, members map[string]any) []string {
	var names []string
	for name, value := range members {
		names = append(names, prefix+name)
		if nested, ok := value.(map[string]any); ok {
			names = append(names, memberNames(prefix+name+".", nested)...)
		}
	}
	return names
}
