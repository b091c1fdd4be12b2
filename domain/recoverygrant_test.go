package domain_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

var (
	grantKey  = bytes.Repeat([]byte{1}, 32)
	otherKey  = bytes.Repeat([]byte{2}, 32)
	grantKeys = domain.KeyRing[domain.RecoveryGrantToken]{grantKey}
)

func recoveryGrant(t *testing.T, by ...domain.RecoveryFactor) (*domain.RecoveryGrant, domain.RecoveryGrantToken) {
	t.Helper()
	return domain.NewRecoveryGrant(adasID, by, domain.BackupCodeDigest{7}, grantKeys, noon, rand.Reader)
}

func TestNewRecoveryGrant(t *testing.T) {
	by := []domain.RecoveryFactor{domain.FactorTOTP, domain.FactorBackupCode}
	g, token := recoveryGrant(t, by...)
	got := g.State()
	if len(got.Nonce) != 32 {
		t.Errorf("a nonce of %d bytes", len(got.Nonce))
	}
	got.Nonce = nil
	want := domain.RecoveryGrantState{
		UserID: adasID, Token: sha256.Sum256([]byte(token.Reveal())), BackupCode: domain.BackupCodeDigest{7}, Factors: by, CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if g.UserID() != adasID || g.BackupCode() != want.BackupCode || !slices.Equal(g.Factors(), by) || !g.CreatedAt().Equal(noon) || !g.ExpiresAt().Equal(want.ExpiresAt) {
		t.Errorf("the grant's methods differ from its state %+v", want)
	}
}

func TestRecoveryGrant_RequireUnexpired(t *testing.T) {
	for _, c := range []struct {
		by  []domain.RecoveryFactor
		ttl time.Duration
	}{
		{[]domain.RecoveryFactor{domain.FactorTOTP}, 10 * time.Minute},
		{[]domain.RecoveryFactor{domain.FactorBackupCode}, 10 * time.Minute},
		{[]domain.RecoveryFactor{domain.FactorBackupCode, domain.FactorTOTP}, 10 * time.Minute},
		{[]domain.RecoveryFactor{domain.FactorOperator}, 15 * time.Minute},
	} {
		g, _ := recoveryGrant(t, c.by...)
		for after, want := range map[time.Duration]error{
			0: nil, c.ttl - time.Nanosecond: nil, c.ttl: domain.ErrRecoveryGrantInvalid, 24 * time.Hour: domain.ErrRecoveryGrantInvalid,
		} {
			if err := g.RequireUnexpired(noon.Add(after)); !errors.Is(err, want) || g.Expired(noon.Add(after)) != (want != nil) {
				t.Errorf("by %v, after %s: got %v, want %v", c.by, after, err, want)
			}
		}
	}
}

func TestRecoveryGrant_RederiveToken(t *testing.T) {
	g, token := recoveryGrant(t, domain.FactorBackupCode)
	if again, ok := domain.RestoreRecoveryGrant(g.State()).RederiveToken(grantKeys); !ok || again != token {
		t.Errorf("got %q, %t, want %q", again.Reveal(), ok, token.Reveal())
	}
	if again, ok := g.RederiveToken(domain.KeyRing[domain.RecoveryGrantToken]{otherKey, grantKey}); !ok || again != token {
		t.Errorf("with a new key before it: got %q, %t, want %q", again.Reveal(), ok, token.Reveal())
	}
	if again, ok := g.RederiveToken(domain.KeyRing[domain.RecoveryGrantToken]{otherKey}); ok || !again.IsZero() {
		t.Errorf("after the key was removed: got %q", again.Reveal())
	}
}

func TestRecoveryGrant_DistinctTokens(t *testing.T) {
	ben, err := domain.ParseUserID("01a20846-fe00-7000-8000-0000000000be")
	if err != nil {
		t.Fatal(err)
	}
	token := func(owner domain.UserID, keys domain.KeyRing[domain.RecoveryGrantToken], nonce byte) domain.RecoveryGrantToken {
		_, token := domain.NewRecoveryGrant(owner, nil, domain.BackupCodeDigest{}, keys, noon, bytes.NewReader(bytes.Repeat([]byte{nonce}, 32)))
		return token
	}
	first := token(adasID, grantKeys, 0)
	if token(adasID, grantKeys, 0) != first {
		t.Error("the token depends on more than owner, key and nonce")
	}
	for name, other := range map[string]domain.RecoveryGrantToken{
		"another owner":            token(ben, grantKeys, 0),
		"another key":              token(adasID, domain.KeyRing[domain.RecoveryGrantToken]{otherKey}, 0),
		"a new key before the old": token(adasID, domain.KeyRing[domain.RecoveryGrantToken]{otherKey, grantKey}, 0),
		"another nonce":            token(adasID, grantKeys, 1),
	} {
		if other == first || other.Digest() == first.Digest() {
			t.Errorf("%s: the same token", name)
		}
	}
}

func TestParseRecoveryGrantToken(t *testing.T) {
	g, token := recoveryGrant(t, domain.FactorTOTP)
	if !regexp.MustCompile(`^klg_[A-Za-z0-9_-]{43}$`).MatchString(token.Reveal()) {
		t.Errorf("new token %q", token.Reveal())
	}
	if read, err := domain.ParseRecoveryGrantToken(token.Reveal()); err != nil || read != token || read.Digest() != g.State().Token {
		t.Errorf("read %q, %v", read.Reveal(), err)
	}
	for _, copied := range []string{
		" " + token.Reveal() + "\r\n", "\ufeff" + token.Reveal(), token.Reveal()[:20] + "\n  " + token.Reveal()[20:], token.Reveal()[:20] + "\u00ad\u200b" + token.Reveal()[20:],
		fullWidth(token.Reveal()),
	} {
		if read, err := domain.ParseRecoveryGrantToken(copied); err != nil || read != token {
			t.Errorf("%q: %v", copied, err)
		}
	}
	_, session := session(t, synced)
	for _, bad := range []string{
		"", "klg_", strings.Repeat(" ", 256) + token.Reveal(), token.Reveal()[4:], token.Reveal() + "A", token.Reveal()[:len(token.Reveal())-1], "KLG_" + token.Reveal()[4:], "kls_" + token.Reveal()[4:],
		"-" + token.Reveal(), session.Reveal(), strings.ReplaceAll(token.Reveal(), "_", "\u2014"),
	} {
		if read, err := domain.ParseRecoveryGrantToken(bad); !errors.Is(err, domain.ErrRecoveryGrantInvalid) || !read.IsZero() {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := domain.ParseSessionToken(token.Reveal()); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("as a session token: %v", err)
	}
	if printed := fmt.Sprintf("%v %+v %#v", token, token, token); strings.Contains(printed, token.Reveal()) {
		t.Errorf("the token is printed: %s", printed)
	}
}

func TestRecoveryGrant_StateIsACopy(t *testing.T) {
	by := []domain.RecoveryFactor{domain.FactorTOTP}
	g, token := recoveryGrant(t, by...)
	state := g.State()
	restored := domain.RestoreRecoveryGrant(state)
	state.Nonce[0] ^= 1
	for _, factors := range [][]domain.RecoveryFactor{by, state.Factors, g.Factors()} {
		factors[0] = domain.FactorOperator
	}
	for name, g := range map[string]*domain.RecoveryGrant{"the grant": g, "the restored one": restored} {
		if again, ok := g.RederiveToken(grantKeys); !ok || again != token || g.Factors()[0] != domain.FactorTOTP {
			t.Errorf("%s shares memory with its caller", name)
		}
	}
}

// The policy may have changed since the recovery.
// Requirement: ASVS-6.4.3, NIST-4.2.2.2
func TestRecoveryGrant_RequireFactors(t *testing.T) {
	app, code, operator := []domain.RecoveryFactor{domain.FactorTOTP}, []domain.RecoveryFactor{domain.FactorBackupCode}, []domain.RecoveryFactor{domain.FactorOperator}
	both := []domain.RecoveryFactor{domain.FactorTOTP, domain.FactorBackupCode}
	for _, c := range []struct {
		by     []domain.RecoveryFactor
		policy domain.RecoveryPolicy
		valid  bool
	}{
		{app, domain.RecoveryAny, true}, {code, domain.RecoveryAny, true}, {both, domain.RecoveryAny, true}, {operator, domain.RecoveryAny, true},
		{app, domain.RecoveryBoth, false}, {code, domain.RecoveryBoth, false}, {both, domain.RecoveryBoth, true}, {operator, domain.RecoveryBoth, true},
		{app, domain.RecoveryOff, false}, {both, domain.RecoveryOff, false}, {operator, domain.RecoveryOff, true},
	} {
		err := domain.RestoreRecoveryGrant(domain.RecoveryGrantState{Factors: c.by}).RequireFactors(c.policy)
		if (err == nil) != c.valid || err != nil && !errors.Is(err, domain.ErrRecoveryGrantInvalid) {
			t.Errorf("with %v under %q: %v", c.by, c.policy, err)
		}
	}
}
