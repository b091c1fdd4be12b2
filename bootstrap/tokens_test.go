package bootstrap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

func TestLoadConfig_Tokens(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "JWT_AUDIENCE=https://api.example.org", "ACCESS_TOKEN_TTL=2m",
		"JWT_ALGORITHM=EdDSA", "JWT_ROTATION_INTERVAL=48h", "STEP_UP_TTL=1h", "MAX_PASSKEYS=3", "MAX_SESSIONS=7")
	if err != nil {
		t.Fatal(err)
	}
	if config.Access != (domain.AccessPolicy{Issuer: "https://id.example.org", Audience: "https://api.example.org", TTL: 2 * time.Minute}) ||
		config.Rotation != (domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 48 * time.Hour, TokenTTL: 2 * time.Minute}) ||
		config.StepUpTTL != domain.StepUpTTL(time.Hour) || config.PasskeyLimit != 3 {
		t.Errorf("%+v", config)
	}
	for _, setting := range []string{
		"ACCESS_TOKEN_TTL=59s", "ACCESS_TOKEN_TTL=61m", "JWT_ALGORITHM=HS256", "JWT_ALGORITHM=none", "JWT_ROTATION_INTERVAL=1h",
		"STEP_UP_TTL=1s", "MAX_PASSKEYS=0", "MAX_SESSIONS=0", "MAX_SESSIONS=1001", "MAX_PASSKEYS=101", "MAX_PASSKEYS=many", "SESSION_IDLE_TTL=1m",
	} {
		name, _, _ := strings.Cut(setting, "=")
		var faults SettingErrors
		if _, err := load(t, setting); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != "KEYLODGE_"+name {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// pemFile writes private keys as an operator would bring them.
func pemFile(t *testing.T, keys ...crypto.PrivateKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signing.pem")
	var text []byte
	for _, key := range keys {
		encoded, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen_UsesExternalKeysOnly(t *testing.T) {
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config, err := load(t, "JWT_KEY_FILE="+pemFile(t, first, second))
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(config, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	keys, err := app.UseCases().SigningKeys.List.Execute(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Algorithm != domain.SigningES256 || keys[0].State != signingkeys.KeySigning ||
		keys[1].Algorithm != domain.SigningEdDSA || keys[1].State != signingkeys.KeyRetired {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := app.UseCases().SigningKeys.Rotate.Execute(t.Context()); !errors.Is(err, signingkeys.ErrExternalKeys) {
		t.Errorf("rotating them: %v", err)
	}
}

func TestLoadConfig_RejectsInvalidJWTKeyFile(t *testing.T) {
	unsuitable, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"not there":    "nowhere.pem",
		"without keys": pemFile(t),
		"with RSA":     pemFile(t, unsuitable),
	} {
		var faults SettingErrors
		if _, err := load(t, "JWT_KEY_FILE="+path); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != "KEYLODGE_JWT_KEY_FILE" || faults[0].Fix == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Signing keys are sealed under the secret: without it the server must not start as if it had never had any.
func TestOpen_OtherSecretCannotDecryptKeys(t *testing.T) {
	const old, other = "SECRET=" + firstSecret, "SECRET=" + secondSecret
	database := "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "keylodge.db")
	open := func(settings ...string) error {
		t.Helper()
		config, err := load(t, append(settings, database)...)
		if err != nil {
			t.Fatal(err)
		}
		app, err := Open(config, system.Clock{}, slog.New(slog.DiscardHandler))
		if err == nil {
			app.Close()
		}
		return err
	}
	if err := open(old); err != nil {
		t.Fatal(err)
	}
	if err := open(other); err == nil || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") || !strings.Contains(err.Error(), "keylodge keys rotate") {
		t.Errorf("with another secret: %v", err)
	}
	if err := open(other, "PREVIOUS_"+strings.Replace(old, "SECRET", "SECRETS", 1)); err != nil {
		t.Errorf("with the former one beside it: %v", err)
	}
	if err := open(old); err != nil {
		t.Errorf("with the old one again: %v", err)
	}
}
