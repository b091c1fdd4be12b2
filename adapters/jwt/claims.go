package jwt

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// clockLeeway is how far another node's clock may be ahead of this one's, for a token that it has signed just now.
// Accepting a token early is safe, because its holder has the session. The expiry has no leeway.
const clockLeeway = 30 * time.Second

// claims is the payload of an access token to be signed.
type claims struct {
	jwt.RegisteredClaims
	Audience  audience         `json:"aud"` // shadows RegisteredClaims.Audience
	ClientID  string           `json:"client_id"`
	SessionID string           `json:"sid"`
	AuthTime  *jwt.NumericDate `json:"auth_time"`
	AMR       []string         `json:"amr"`
	Scope     string           `json:"scope,omitempty"` // separated by spaces (RFC 9068, section 2.2.3)
}

// audience is encoded as a string if it has one value, and as an array otherwise (RFC 7519, section 4.1.3). The library's own
// setting for this is global.
type audience struct{ jwt.ClaimStrings }

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a.ClaimStrings) == 1 {
		return json.Marshal(a.ClaimStrings[0])
	}
	return json.Marshal([]string(a.ClaimStrings))
}

// newClaims leaves out nbf, which is optional (RFC 7519, section 4.1.5): libraries compare it without leeway, so that a service
// with a slow clock would reject a new token.
func newClaims(c domain.AccessClaims) claims {
	return claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: c.Issuer, Subject: c.Subject.String(), ID: c.TokenID,
			IssuedAt: jwt.NewNumericDate(c.IssuedAt), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
		Audience: audience{c.Audience}, ClientID: c.ClientID,
		SessionID: c.SessionID.String(), AuthTime: jwt.NewNumericDate(c.AuthTime), AMR: c.AMR,
		Scope: strings.Join(c.Scope, " "),
	}
}

// parsedClaims is the payload of an access token to be verified. It implements jwt.Claims for the library's parser, whose own
// checks are disabled.
type parsedClaims struct {
	jwt.MapClaims // always nil
	domain.AccessClaims
	notBefore time.Time // zero if absent
}

// UnmarshalJSON decodes the claims with their exact names and types. It ignores other claims (RFC 7519, section 4).
func (s *parsedClaims) UnmarshalJSON(payload []byte) error {
	members, err := parseObject(payload)
	if err != nil {
		return err
	}
	var errs [12]error
	c := &s.AccessClaims
	c.Issuer, errs[0] = members.getString("iss")
	c.Audience, errs[1] = members.getStringOrStrings("aud")
	c.ClientID, errs[2] = members.getString("client_id")
	c.TokenID, errs[3] = members.getString("jti")
	c.AMR, errs[4] = members.getStrings("amr")
	c.IssuedAt, errs[5] = members.getNumericDate("iat")
	c.ExpiresAt, errs[6] = members.getNumericDate("exp")
	c.AuthTime, errs[7] = members.getNumericDate("auth_time")
	if members["nbf"] != nil {
		s.notBefore, errs[8] = members.getNumericDate("nbf")
	}
	if members["scope"] != nil {
		c.Scope, errs[9] = members.getSpaceSeparated("scope")
	}
	subject, errSubject := members.getString("sub")
	session, errSession := members.getString("sid")
	if err := errors.Join(append(errs[:], errSubject, errSession)...); err != nil {
		return err
	}
	c.Subject, errs[10] = domain.ParseUserID(subject)
	c.SessionID, errs[11] = domain.ParseSessionID(session)
	return errors.Join(errs[10:]...)
}

// check returns the claims if they match want. The expiry is checked last, so that only a token that is otherwise valid is
// reported as expired.
func (s *parsedClaims) check(want ports.ExpectedClaims) (domain.AccessClaims, error) {
	latest := want.Now.Add(clockLeeway)
	c := s.AccessClaims
	switch {
	case c.Issuer != want.Issuer, !slices.Contains(c.Audience, want.Audience),
		want.Scope != "" && !slices.Contains(c.Scope, want.Scope),
		c.IssuedAt.After(latest), s.notBefore.After(latest):
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	case !want.Now.Before(c.ExpiresAt):
		return domain.AccessClaims{}, domain.ErrAccessTokenExpired
	}
	return c, nil
}
