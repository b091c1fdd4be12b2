// Package settings sets the server's settings for tests, and makes the files that they name.
package settings

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// Secrets as `openssl rand -base64 32` prints them.
const (
	FirstSecret  = "SopoKWVDkOIZ4ElcyZe0jYkcJ7KhIDPDjXA9N1MYT34="
	SecondSecret = "uIQqlNyy0IFFWtQy2UE0ST/KWDHNogIAAvQZHwpmV9Y="
)

// Set sets the settings, written as NAME=value without the prefix KEYLODGE_, unsets all others, and changes to a new empty
// directory. The end of the test restores the environment and the directory.
func Set(t testing.TB, settings ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "KEYLODGE_") {
			t.Setenv(name, "") // restores the value at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Chdir(t.TempDir())
	Add(t, settings...)
}

// Add sets further settings, written as in Set.
func Add(t testing.TB, settings ...string) {
	t.Helper()
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv("KEYLODGE_"+name, value)
	}
}

// KnownModel is the AAGUID of the one model that the metadata of MetadataFiles contain. They do not contain UnknownModel.
const (
	KnownModel   = "4b657921-0000-0000-0000-000000000001"
	UnknownModel = "4b657921-0000-0000-0000-000000000002"
)

// Attested returns settings that require attestation by the metadata, and the settings in more.
func Attested(blobFile, rootFile string, more ...string) []string {
	return append([]string{"AUTHENTICATOR_POLICY=attested", "METADATA_FILE=" + blobFile, "METADATA_ROOT_FILE=" + rootFile}, more...)
}

// MetadataFiles writes the metadata BLOB of a metadata service and the certificate that it is verified with. The BLOB contains
// KnownModel and one entry that cannot be read.
func MetadataFiles(t *testing.T, nextUpdate time.Time) (blobFile, rootFile string) {
	t.Helper()
	vendor, err := authenticator.NewVendor("Example Keys")
	if err != nil {
		t.Fatal(err)
	}
	service, err := authenticator.NewMetadataService()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := service.BLOB(nextUpdate,
		authenticator.Model{AAGUID: [16]byte{0x4b, 0x65, 0x79, 0x21, 15: 1}, Vendors: []*authenticator.Vendor{vendor}},
		authenticator.Model{AAGUID: [16]byte{1}, LastChange: "yesterday"})
	if err != nil {
		t.Fatal(err)
	}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Root().Raw})
	return File(t, "metadata.jwt", string(blob)), File(t, "root.pem", string(root))
}

// KeyFile writes private keys into a PEM file, as KEYLODGE_JWT_KEY_FILE names one.
func KeyFile(t *testing.T, keys ...crypto.PrivateKey) string {
	t.Helper()
	var text []byte
	for _, key := range keys {
		encoded, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})...)
	}
	return File(t, "signing.pem", string(text))
}

// File writes a private file into a new directory and returns its path.
func File(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	WriteFile(t, path, text, 0o600)
	return path
}

// WriteFile writes a file with this mode under any umask.
func WriteFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}
