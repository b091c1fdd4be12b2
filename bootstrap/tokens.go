package bootstrap

import (
	"os"
	"time"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/domain"
)

// tokens reads what access tokens look like and where their keys come from.
func (c *checker) tokens(config *Config, e environment) {
	config.Access = domain.AccessPolicy{
		Issuer:   config.PublicURL,
		Audience: e.JWTAudience,
		TTL:      c.duration("ACCESS_TOKEN_TTL", e.AccessTokenTTL, time.Minute, time.Hour),
	}
	if config.Access.Audience == "" {
		config.Access.Audience = config.Access.Issuer
	}
	config.Rotation = domain.KeyRotation{
		Algorithm: oneOf(c, "JWT_ALGORITHM", e.JWTAlgorithm, domain.SigningES256, domain.SigningEdDSA),
		Every:     c.duration("JWT_ROTATION_INTERVAL", e.JWTRotationInterval, 24*time.Hour, 365*24*time.Hour),
		TokenTTL:  config.Access.TTL,
	}
	if e.JWTKeyFile == "" {
		return
	}
	config.KeyFile = e.JWTKeyFile
	const fix = "name a PEM file with private keys, made with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
	text, err := os.ReadFile(e.JWTKeyFile)
	if err != nil {
		c.fault("JWT_KEY_FILE", err.Error(), fix)
		return
	}
	if config.Brought, err = jwt.ParsePEM(text); err != nil {
		c.fault("JWT_KEY_FILE", err.Error(), fix)
	}
}
