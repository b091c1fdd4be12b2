package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// keyPurposes are those that keys are derived for, as the sources have them, so that none is forgotten here.
var keyPurposes = sync.OnceValues(func() (found []string, err error) {
	for _, pattern := range []string{"../bootstrap/*.go", "../adapters/masterkey/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for _, match := range derivePattern.FindAllSubmatch(source, -1) {
				found = append(found, string(match[1]))
			}
		}
	}
	if len(found) < 11 {
		return nil, fmt.Errorf("only %q are derived from the secret: somewhere else than in the sources that were looked at?", found)
	}
	return found, nil
})

var derivePattern = regexp.MustCompile(`(?:\.Derive|\ball|\bone)\("([^"]+)"`)

// encodedSecrets are those of the settings, in each way in which bytes are written.
func encodedSecrets(t testing.TB, cfg config.Config) (secrets []string) {
	t.Helper()
	derived, err := keyPurposes()
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for _, secret := range append(slices.Clone(cfg.PreviousSecrets), *cfg.Secret) {
		keys = append(keys, reflect.ValueOf(secret).Field(0).Bytes()) // nothing else gives it away
		for _, purpose := range derived {
			key, err := secret.Derive(purpose)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	keys = append(keys, signingKeySecrets(t, cfg)...)
	for _, key := range keys {
		secrets = append(secrets, hex.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), fmt.Sprintf("%d", key))
	}
	if cfg.SMTP != nil {
		secrets = append(secrets, cfg.SMTP.Password.Reveal())
	}
	return secrets
}

// signingKeySecrets are the private halves that a server on SQLite has made and sealed.
func signingKeySecrets(t testing.TB, cfg config.Config) (keys [][]byte) {
	t.Helper()
	path := cfg.Database.String()
	if _, err := os.Stat(path); err != nil {
		return nil // it is on another storage, where the same code seals them
	}
	sealer, err := masterkey.NewSealer(*cfg.Secret, cfg.PreviousSecrets)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var stored domain.SigningKeys
	err = store.View(context.Background(), func(tx ports.Tx) (err error) {
		stored, err = tx.SigningKeys.All(context.Background())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range stored {
		private, err := sealer.Open(key.State().EncryptedKey, "signing key "+key.ID())
		if err != nil {
			continue // under a secret that is gone
		}
		keys = append(keys, private, privateKeyCore(t, private))
	}
	return keys
}

// privateKeyCore is what is secret in a private key, without its wrapping.
func privateKeyCore(t testing.TB, private []byte) []byte {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return scalar
	case ed25519.PrivateKey:
		return key.Seed()
	}
	t.Fatalf("a signing key is a %T", parsed)
	return nil
}
