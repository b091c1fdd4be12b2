package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// generatedSecrets has the bytes of all secrets of newSecret. A masterkey.Key does not reveal its bytes.
var generatedSecrets struct {
	sync.Mutex
	all []generatedSecret
}

type generatedSecret struct {
	key masterkey.Key
	raw []byte
}

// newSecret returns a random secret.
func newSecret(t testing.TB) masterkey.Key {
	t.Helper()
	raw := make([]byte, masterkey.Size)
	rand.Read(raw)
	key, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	generatedSecrets.Lock()
	defer generatedSecrets.Unlock()
	generatedSecrets.all = append(generatedSecrets.all, generatedSecret{key, raw})
	return key
}

// rawSecret returns the bytes of a secret of newSecret.
func rawSecret(t testing.TB, key masterkey.Key) []byte {
	t.Helper()
	generatedSecrets.Lock()
	defer generatedSecrets.Unlock()
	for _, generated := range generatedSecrets.all {
		if generated.key.Equal(key) {
			return generated.raw
		}
	}
	t.Fatal("the secret is not one of newSecret")
	return nil
}

// encodedSecrets returns the master secrets, the derived keys and the signing keys in every usual encoding, and the SMTP
// password.
func encodedSecrets(t testing.TB, cfg config.Config) (secrets []string) {
	t.Helper()
	var keys [][]byte
	for _, secret := range append(slices.Clone(cfg.PreviousSecrets), *cfg.Secret) {
		keys = append(keys, rawSecret(t, secret))
		for _, purpose := range masterkey.Purposes() {
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

// signingKeySecrets returns the private keys of a server on SQLite, each as PKCS #8 and as the bare secret.
func signingKeySecrets(t testing.TB, cfg config.Config) (keys [][]byte) {
	t.Helper()
	path := cfg.Database.String()
	if _, err := os.Stat(path); err != nil {
		return nil // with another database, the same code encrypts the keys
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
			continue // encrypted with a secret that is not configured
		}
		keys = append(keys, private, privateKeyCore(t, private))
	}
	return keys
}

// privateKeyCore returns the secret scalar or seed of a private key.
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
	t.Fatalf("unknown type of signing key: %T", parsed)
	return nil
}
