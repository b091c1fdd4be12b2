package config

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/domain"
)

func TestLoad_Tokens(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "JWT_AUDIENCE=https://api.example.org", "ACCESS_TOKEN_TTL=2m",
		"JWT_ALGORITHM=EdDSA", "JWT_ROTATION_INTERVAL=48h", "STEP_UP_TTL=1h", "MAX_PASSKEYS=3", "MAX_SESSIONS=7")
	if err != nil {
		t.Fatal(err)
	}
	if config.Access != (domain.AccessPolicy{Issuer: "https://id.example.org", Audience: "https://api.example.org", TTL: 2 * time.Minute}) ||
		config.Rotation != (domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 48 * time.Hour, TokenTTL: 2 * time.Minute}) ||
		config.StepUpTTL != domain.StepUpTTL(time.Hour) || config.PasskeyLimit != 3 || config.SessionLimit != 7 {
		t.Errorf("%+v", config)
	}
	for _, setting := range []string{
		"ACCESS_TOKEN_TTL=59s", "ACCESS_TOKEN_TTL=61m", "JWT_ALGORITHM=HS256", "JWT_ALGORITHM=none", "JWT_ROTATION_INTERVAL=1h",
		"STEP_UP_TTL=1s", "MAX_PASSKEYS=0", "MAX_SESSIONS=0", "MAX_SESSIONS=1001", "MAX_PASSKEYS=101", "MAX_PASSKEYS=many", "SESSION_IDLE_TTL=1m",
	} {
		name, _, _ := strings.Cut(setting, "=")
		wantError(t, []string{setting}, name, "", "")
	}
}

func TestLoad_RejectsInvalidJWTKeyFile(t *testing.T) {
	unsuitable, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"missing":      "nowhere.pem",
		"without keys": settings.KeyFile(t),
		"with RSA":     settings.KeyFile(t, unsuitable),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, []string{"JWT_KEY_FILE=" + path}, "JWT_KEY_FILE", "", "") })
	}
}
