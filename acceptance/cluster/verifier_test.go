package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// verifier is a service that verifies access tokens. It fetches the keys from the load balancer and caches them for longer than
// the response allows. It does not fetch them again for an unknown key.
type verifier struct {
	origin   string
	clock    *clock
	cacheTTL time.Duration

	mu        sync.Mutex
	keys      jwk.Set
	fetchedAt time.Time
}

func (v *verifier) verify(token string) error {
	now := v.clock.now()
	keys, err := v.cachedKeys(now)
	if err != nil {
		return err
	}
	_, err = jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(v.origin), jwt.WithAudience(v.origin),
		jwt.WithClock(jwt.ClockFunc(func() time.Time { return now })), jwt.WithAcceptableSkew(10*time.Second))
	return err
}

func (v *verifier) cachedKeys(now time.Time) (jwk.Set, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil && now.Sub(v.fetchedAt) < v.cacheTTL {
		return v.keys, nil
	}
	keys, err := jwk.Fetch(context.Background(), v.origin+"/.well-known/jwks.json")
	if err == nil {
		v.keys, v.fetchedAt = keys, now
	}
	return keys, err
}

// parseUnverified returns the key id and the expiry of a token without verification.
func parseUnverified(token string) (kid string, expiry time.Time, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", expiry, fmt.Errorf("%q is not a token", token)
	}
	var head struct{ Kid string }
	var body struct{ Exp int64 }
	for i, into := range []any{&head, &body} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return "", expiry, err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return "", expiry, err
		}
	}
	return head.Kid, time.Unix(body.Exp, 0), nil
}
