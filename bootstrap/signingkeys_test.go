package bootstrap

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

func TestOpen_UsesExternalKeysOnly(t *testing.T) {
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := load(t, "JWT_KEY_FILE="+settings.KeyFile(t, first, second))
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	keys, err := app.UseCases().SigningKeys.List(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Algorithm != domain.SigningES256 || keys[0].State != signingkeys.KeySigning ||
		keys[1].Algorithm != domain.SigningEdDSA || keys[1].State != signingkeys.KeyRetired {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := app.UseCases().SigningKeys.Rotate(t.Context()); !errors.Is(err, domain.ErrSigningKeysExternal) {
		t.Errorf("rotating them: %v", err)
	}
}

// Signing keys are encrypted with the secret. With another secret, the server must not start and generate new keys.
func TestOpen_OtherSecretCannotDecryptKeys(t *testing.T) {
	const original, other = "SECRET=" + settings.FirstSecret, "SECRET=" + settings.SecondSecret
	database := "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "keylodge.db")
	open := func(settings ...string) error {
		t.Helper()
		cfg, err := load(t, append(settings, database)...)
		if err != nil {
			t.Fatal(err)
		}
		app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
		if err == nil {
			app.Close()
		}
		return err
	}
	if err := open(original); err != nil {
		t.Fatal(err)
	}
	if err := open(other); err == nil || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") || !strings.Contains(err.Error(), "keylodge keys rotate") {
		t.Errorf("with another secret: %v", err)
	}
	if err := open(other, "PREVIOUS_"+strings.Replace(original, "SECRET", "SECRETS", 1)); err != nil {
		t.Errorf("with the original one as previous: %v", err)
	}
	if err := open(original); err != nil {
		t.Errorf("with the original one again: %v", err)
	}
}
