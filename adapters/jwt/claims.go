package jwt

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// clockLeeway is how far another node's clock may be ahead of this one's, for a token that it has signed just now.
// Letting a token begin early gives nothing away: who has it holds the session. Its end has no leeway.
const clockLeeway = 30 * time.Second

// claims are the payload of an access token. A pointer is nil for a claim that is missing.
type claims struct {
	jwt.RegisteredClaims
	Audience  audience         `json:"aud"` // goes before that of RegisteredClaims
	SessionID string           `json:"sid"`
	AuthTime  *jwt.NumericDate `json:"auth_time"`
	AMR       []string         `json:"amr"`
	Scope     string           `json:"scope,omitempty"` // separated by spaces (RFC 9068, section 2.2.3)
}

// audience is written as a string if it is a single one, as an array otherwise (RFC 7519, section 4.1.3), and read from
// either. The library has a switch for that, which is global.
type audience struct{ jwt.ClaimStrings }

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a.ClaimStrings) == 1 {
		return json.Marshal(a.ClaimStrings[0])
	}
	return json.Marshal([]string(a.ClaimStrings))
}

func newClaims(c domain.AccessClaims) claims {
	issued := jwt.NewNumericDate(c.IssuedAt)
	return claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: c.Issuer, Subject: c.Subject.String(), ID: c.TokenID,
			IssuedAt: issued, NotBefore: issued, ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
		Audience:  audience{c.Audience},
		SessionID: c.SessionID.String(), AuthTime: jwt.NewNumericDate(c.AuthTime), AMR: c.AMR,
		Scope: strings.Join(c.Scope, " "),
	}
}

// check returns what the claims state if they are all there and as wanted. The age comes last: only a token that is
// right otherwise may be called expired.
func (c claims) check(want ports.TokenExpectation) (domain.AccessClaims, error) {
	user, userErr := domain.ParseUserID(c.Subject)
	session, sessionErr := domain.ParseSessionID(c.SessionID)
	latest := want.Now.Add(clockLeeway)
	switch {
	case userErr != nil, sessionErr != nil, c.ID == "", len(c.AMR) == 0,
		c.IssuedAt == nil, c.NotBefore == nil, c.ExpiresAt == nil, c.AuthTime == nil,
		c.Issuer == "", c.Issuer != want.Issuer, !slices.Contains(c.Audience.ClaimStrings, want.Audience),
		want.Scope != "" && !slices.Contains(c.scope(), want.Scope),
		c.IssuedAt.After(latest), c.NotBefore.After(latest):
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	case !want.Now.Before(c.ExpiresAt.Time):
		return domain.AccessClaims{}, domain.ErrAccessTokenExpired
	}
	return domain.AccessClaims{
		TokenID: c.ID, Issuer: c.Issuer, Audience: c.Audience.ClaimStrings, Subject: user, SessionID: session,
		IssuedAt: c.IssuedAt.UTC(), ExpiresAt: c.ExpiresAt.UTC(), AuthTime: c.AuthTime.UTC(), AMR: c.AMR,
		Scope: c.scope(),
	}, nil
}

func (c claims) scope() []string {
	if c.Scope == "" {
		return nil
	}
	return strings.Split(c.Scope, " ")
}
