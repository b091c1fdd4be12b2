package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/domain"
)

// tokens reads the contents of access tokens and the source of their keys.
func (p *parser) tokens(config *Config, e environment) {
	config.Access = domain.AccessPolicy{
		Issuer:   config.PublicURL,
		Audience: e.JWTAudience,
		TTL:      p.duration("ACCESS_TOKEN_TTL", e.AccessTokenTTL, time.Minute, time.Hour),
	}
	p.limitToSession("ACCESS_TOKEN_TTL", &config.Access.TTL, config.Sessions.TTL)
	separates := func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if strings.ContainsFunc(e.JWTAudience, separates) {
		p.addError("JWT_AUDIENCE", fmt.Sprintf("%q looks like several audiences, and a token has one", e.JWTAudience), "write one name or URL that all of them accept, without commas and spaces")
	}
	if config.Access.Audience == "" {
		config.Access.Audience = config.Access.Issuer
	}
	config.Rotation = domain.KeyRotation{
		Algorithm: oneOf(p, "JWT_ALGORITHM", e.JWTAlgorithm, domain.SigningES256, domain.SigningEdDSA),
		Interval:  p.duration("JWT_ROTATION_INTERVAL", e.JWTRotationInterval, 24*time.Hour, 365*24*time.Hour),
		TokenTTL:  config.Access.TTL,
	}
	if e.JWTKeyFile == "" {
		return
	}
	for setting, value := range map[string]string{"JWT_ALGORITHM": e.JWTAlgorithm, "JWT_ROTATION_INTERVAL": e.JWTRotationInterval} {
		if isSet(setting) {
			p.addError(setting, fmt.Sprintf("%s has no effect with KEYLODGE_JWT_KEY_FILE, whose first key signs until the file is replaced", value), "remove one of the two settings")
		}
	}
	const fix = "write the path of a PEM file with private keys, generated with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
	text, err := masterkey.ReadPrivate(e.JWTKeyFile)
	switch {
	case errors.Is(err, masterkey.ErrNotPrivate):
		p.addError("JWT_KEY_FILE", err.Error(), "chmod 600 "+e.JWTKeyFile+"; for Kubernetes see docs/operations/configuration.md, Files that hold secrets")
		return
	case err != nil:
		p.addError("JWT_KEY_FILE", err.Error(), fix)
		return
	}
	if config.ExternalKeys, err = jwt.ParsePEM(text); err != nil {
		p.addError("JWT_KEY_FILE", err.Error(), fix)
	}
}
