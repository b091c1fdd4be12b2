package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// APIKey lets a program of the operator call the admin API. It has scopes, and expires.
type APIKey struct{ state APIKeyState }

// APIKeyState is the state of a key as it is stored. The token is stored as its digest only.
type APIKeyState struct {
	ID         APIKeyID
	Name       string // for the operator: which program has it
	Token      TokenDigest
	Scopes     []Scope // in alphabetical order
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // to within lastUsePrecision; zero if it was never used
	RevokedAt  time.Time // zero unless revoked
}

// Scope is what an API key may do (RFC 6749, section 3.3).
type Scope string

const (
	ScopeUsersRead        Scope = "users:read"         // list and show users with their passkeys and sessions
	ScopeUsersWrite       Scope = "users:write"        // disable, enable, delete and recover users, and change their groups
	ScopeSessionsWrite    Scope = "sessions:write"     // revoke sessions
	ScopeEventsRead       Scope = "events:read"        // list the events of all users
	ScopeInvitesRead      Scope = "invites:read"       // list invites
	ScopeInvitesWrite     Scope = "invites:write"      // create invites without groups, and revoke invites
	ScopeSigningKeysRead  Scope = "signing_keys:read"  // list the keys that sign access tokens
	ScopeSigningKeysWrite Scope = "signing_keys:write" // generate the next signing key
)

// Scopes lists all scopes, in alphabetical order.
var Scopes = []Scope{ScopeEventsRead, ScopeInvitesRead, ScopeInvitesWrite, ScopeSessionsWrite, ScopeSigningKeysRead, ScopeSigningKeysWrite, ScopeUsersRead, ScopeUsersWrite}

// APIKeyToken is the secret of an API key.
type APIKeyToken struct{ Secret }

const (
	apiKeyPrefix       = "klk_" // lets secret scanners find a leaked token
	apiKeySecretLength = 32
	lastUsePrecision   = time.Minute
)

// MaxAPIKeyTTL is the longest time after which a key expires.
const MaxAPIKeyTTL = 366 * 24 * time.Hour

// NewAPIKey returns a key that expires after ttl, and its token. It returns an *InvalidInput for a name that is empty or not valid, for
// no scope, and for a ttl that is not positive or above 366 days.
func NewAPIKey(name string, scopes []Scope, ttl time.Duration, now time.Time, random io.Reader) (*APIKey, APIKeyToken, error) {
	parsed, badName := parseName("name", name)
	if badName == nil && parsed == "" {
		badName = Invalid("name", "required", "give the key a name: which program will have it")
	}
	var badScopes, badTTL error
	if len(scopes) == 0 {
		badScopes = Invalid("scopes", "required", "give the key at least one scope")
	}
	if ttl <= 0 || ttl > MaxAPIKeyTTL {
		badTTL = Invalid("ttl", "out_of_range", fmt.Sprintf("a key expires after at most %d days", MaxAPIKeyTTL/(24*time.Hour)))
	}
	if err := JoinInvalid(badName, badScopes, badTTL); err != nil {
		return nil, APIKeyToken{}, err
	}
	secret := make([]byte, apiKeySecretLength)
	readRandom(random, secret)
	token := APIKeyToken{NewSecret(apiKeyPrefix + base64.RawURLEncoding.EncodeToString(secret))}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	return &APIKey{APIKeyState{ID: NewAPIKeyID(now, random), Name: parsed, Token: token.Digest(), Scopes: scopes, CreatedAt: now, ExpiresAt: now.Add(ttl)}}, token, nil
}

// ParseScope returns the scope, or an *InvalidInput for the given field.
func ParseScope(field, s string) (Scope, error) {
	if !slices.Contains(Scopes, Scope(s)) {
		return "", Invalid(field, "unknown_scope", fmt.Sprintf("there is no scope %q; the scopes are: %s", s, strings.Join(ScopeTexts(Scopes), ", ")))
	}
	return Scope(s), nil
}

// ScopeTexts returns the scopes as text.
func ScopeTexts(scopes []Scope) []string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	return texts
}

// ParseAPIKeyToken parses a token. It returns ErrAPIKeyInvalid for a malformed one.
func ParseAPIKeyToken(s string) (APIKeyToken, error) {
	encoded, found := strings.CutPrefix(s, apiKeyPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !found || err != nil || len(raw) != apiKeySecretLength || len(encoded) != base64.RawURLEncoding.EncodedLen(apiKeySecretLength) {
		return APIKeyToken{}, ErrAPIKeyInvalid
	}
	return APIKeyToken{NewSecret(s)}, nil
}

func (t APIKeyToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// RestoreAPIKey returns the key with the given state.
func RestoreAPIKey(s APIKeyState) *APIKey { return &APIKey{s.clone()} }

// State returns a copy of the state, for storage.
func (k *APIKey) State() APIKeyState { return k.state.clone() }

func (s APIKeyState) clone() APIKeyState {
	s.Scopes = slices.Clone(s.Scopes)
	return s
}

func (k *APIKey) ID() APIKeyID { return k.state.ID }

// APIKeyStatus says whether a key is accepted.
type APIKeyStatus string

const (
	APIKeyActive  APIKeyStatus = "active"
	APIKeyExpired APIKeyStatus = "expired"
	APIKeyRevoked APIKeyStatus = "revoked" // also after its expiry
)

// Status returns the status at the given time.
func (k *APIKey) Status(now time.Time) APIKeyStatus {
	switch {
	case !k.state.RevokedAt.IsZero():
		return APIKeyRevoked
	case !now.Before(k.state.ExpiresAt):
		return APIKeyExpired
	}
	return APIKeyActive
}

// RequireActive returns ErrAPIKeyInvalid if the key is revoked or has expired.
func (k *APIKey) RequireActive(now time.Time) error {
	if k.Status(now) != APIKeyActive {
		return ErrAPIKeyInvalid
	}
	return nil
}

// Revoke revokes the key, and reports whether that changed it.
func (k *APIKey) Revoke(now time.Time) bool {
	if k.Status(now) == APIKeyRevoked {
		return false
	}
	k.state.RevokedAt = now
	return true
}

// Use records a use, and reports whether that changed the key: a use within a minute of the last one does not.
func (k *APIKey) Use(now time.Time) bool {
	if now.Sub(k.state.LastUsedAt) < lastUsePrecision {
		return false
	}
	k.state.LastUsedAt = now
	return true
}

// Operator is the caller of an administrative use case. The zero value is the command line on the server itself, which may do
// everything.
type Operator struct{ key *APIKey }

// Operator returns the operator whose program presented the key.
func (k *APIKey) Operator() Operator { return Operator{k} }

// RequireScope returns ErrInsufficientScope unless the operator has the scope.
func (o Operator) RequireScope(scope Scope) error {
	if o.key != nil && !slices.Contains(o.key.state.Scopes, scope) {
		return ErrInsufficientScope
	}
	return nil
}

// APIKeyID returns the id of the operator's key; zero on the server itself.
func (o Operator) APIKeyID() (id APIKeyID) {
	if o.key != nil {
		id = o.key.state.ID
	}
	return id
}
