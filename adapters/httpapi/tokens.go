package httpapi

import (
	"encoding/json"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/signingkeys"
)

// accessToken is an access token response of OAuth 2.0 (RFC 6749, section 5.1). Times are seconds.
type accessToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
}

// tokenPair has the tokens of a bearer session.
type tokenPair struct {
	accessToken
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

func accessTokenOf(a signingkeys.AccessToken) accessToken {
	return accessToken{AccessToken: a.Token.Reveal(), TokenType: "Bearer", ExpiresIn: seconds(a.ExpiresIn)}
}

// tokensOf returns nil for nil: a session by cookie has no tokens.
func tokensOf(p *signingkeys.TokenPair) *tokenPair {
	if p == nil {
		return nil
	}
	return &tokenPair{accessTokenOf(p.Access), p.Refresh.Reveal(), seconds(p.RefreshExpiresIn)}
}

// seconds rounds down, so that a client never assumes a longer lifetime.
func seconds(d time.Duration) int { return int(d / time.Second) }

type jsonWebKeySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// jwks publishes the public keys of access tokens (RFC 7517, section 5) to pages of every origin. A new key is published before it
// signs, for longer than the response may be cached.
func (s *server) jwks(c *fiber.Ctx) error {
	keys, err := s.usecases.SigningKeys.Publish(c.UserContext())
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=300")
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	return c.JSON(jsonWebKeySet{keys}, "application/jwk-set+json")
}
