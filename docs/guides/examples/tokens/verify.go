package main

import (
	"context"
	"errors"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

const (
	issuer   = "http://localhost:8080"
	audience = issuer // your KEYLODGE_JWT_AUDIENCE, if you set one
)

// newKeys loads the keys, and again in the background when their Cache-Control expires.
func newKeys(ctx context.Context) (jwk.Set, error) {
	const url = issuer + "/.well-known/jwks.json"
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	if err := cache.Register(ctx, url); err != nil {
		return nil, err
	}
	return cache.CachedSet(url)
}

// userOf verifies an access token and returns the user's id.
func userOf(token string, keys jwk.Set) (string, error) {
	message, err := jws.ParseString(token, jws.WithCompact())
	if err != nil {
		return "", err
	}
	if typ, _ := message.Signatures()[0].ProtectedHeaders().Type(); typ != "at+jwt" {
		return "", errors.New("not an access token")
	}
	verified, err := jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(issuer),
		jwt.WithAudience(audience), jwt.WithRequiredClaim("exp"), jwt.WithRequiredClaim("sub"))
	if err != nil {
		return "", err
	}
	user, _ := verified.Subject()
	return user, nil
}
