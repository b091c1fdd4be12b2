package application_test

import (
	"context"
	"crypto/rand"
	"maps"
	"strings"
	"time"

	otp "github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/totp"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type (
	failingTOTPs struct {
		ports.TOTPs
		*failing
	}
	failingCodes struct {
		ports.BackupCodes
		*failing
	}
	failingRecoveryGrants struct {
		ports.RecoveryGrants
		*failing
	}
	failingLockouts struct {
		ports.Lockouts
		*failing
	}
)

func (t failingTOTPs) Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	return valueOrFail(t.failing, func() (*domain.TOTP, error) { return t.TOTPs.Get(ctx, user) })
}

func (t failingTOTPs) Save(ctx context.Context, app *domain.TOTP) error {
	return orFail(t.failing, func() error { return t.TOTPs.Save(ctx, app) })
}

func (t failingTOTPs) Remove(ctx context.Context, user domain.UserID) error {
	return orFail(t.failing, func() error { return t.TOTPs.Remove(ctx, user) })
}

func (c failingCodes) Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error {
	return orFail(c.failing, func() error { return c.BackupCodes.Replace(ctx, user, set, now) })
}

func (c failingCodes) Count(ctx context.Context, user domain.UserID) (remaining int, created time.Time, err error) {
	err = orFail(c.failing, func() error {
		remaining, created, err = c.BackupCodes.Count(ctx, user)
		return err
	})
	return remaining, created, err
}

func (c failingCodes) FindOwner(ctx context.Context, digests []domain.BackupCodeDigest) (owner domain.UserID, found domain.BackupCodeDigest, err error) {
	err = orFail(c.failing, func() error {
		owner, found, err = c.BackupCodes.FindOwner(ctx, digests)
		return err
	})
	return owner, found, err
}

func (c failingCodes) Consume(ctx context.Context, digest domain.BackupCodeDigest) error {
	return orFail(c.failing, func() error { return c.BackupCodes.Consume(ctx, digest) })
}

func (g failingRecoveryGrants) Put(ctx context.Context, grant *domain.RecoveryGrant) error {
	return orFail(g.failing, func() error { return g.RecoveryGrants.Put(ctx, grant) })
}

func (g failingRecoveryGrants) ByUser(ctx context.Context, user domain.UserID) (*domain.RecoveryGrant, error) {
	return valueOrFail(g.failing, func() (*domain.RecoveryGrant, error) { return g.RecoveryGrants.ByUser(ctx, user) })
}

func (g failingRecoveryGrants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	return valueOrFail(g.failing, func() (*domain.RecoveryGrant, error) { return g.RecoveryGrants.ByToken(ctx, token) })
}

func (g failingRecoveryGrants) Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	return valueOrFail(g.failing, func() (*domain.RecoveryGrant, error) { return g.RecoveryGrants.Take(ctx, token) })
}

func (g failingRecoveryGrants) Remove(ctx context.Context, user domain.UserID) error {
	return orFail(g.failing, func() error { return g.RecoveryGrants.Remove(ctx, user) })
}

func (g failingRecoveryGrants) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(g.failing, func() (int, error) { return g.RecoveryGrants.DeleteExpired(ctx, expired, limit) })
}

func (l failingLockouts) Get(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	return valueOrFail(l.failing, func() (*domain.Lockout, error) { return l.Lockouts.Get(ctx, subject) })
}

func (l failingLockouts) Save(ctx context.Context, lockout *domain.Lockout) error {
	return orFail(l.failing, func() error { return l.Lockouts.Save(ctx, lockout) })
}

func (l failingLockouts) Clear(ctx context.Context, subject domain.LockoutSubject) error {
	return orFail(l.failing, func() error { return l.Lockouts.Clear(ctx, subject) })
}

func (l failingLockouts) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	return valueOrFail(l.failing, func() (int, error) { return l.Lockouts.DeleteExpired(ctx, before, limit) })
}

// recoveryFixture is a fixture in which Ada has backup codes and has set up TOTP.
type recoveryFixture struct {
	*fixture
	sealer     *masterkey.Sealer
	codes      *totp.Codes
	key        []byte
	backupCode domain.BackupCode // one of Ada's
	secret     domain.Secret     // of Ada's TOTP
}

func (f *fixture) newRecovery() *recoveryFixture {
	f.t.Helper()
	secret, err := masterkey.Parse(strings.Repeat("A", 43))
	if err != nil {
		f.t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	r := &recoveryFixture{fixture: f, sealer: sealer, codes: totp.New("Keylodge"), key: make([]byte, 32)}
	created, err := r.generateCodes().GenerateCodes(f.t.Context(), f.ada)
	if err != nil {
		f.t.Fatal(err)
	}
	r.backupCode = created[0]
	app, err := r.setUp().SetUpTOTP(f.t.Context(), f.ada)
	if err != nil {
		f.t.Fatal(err)
	}
	r.secret = app.Secret
	return r
}

func (r *recoveryFixture) generateCodes() *recovery.Service {
	return &recovery.Service{Store: r.store, Clock: r.clock, Random: rand.Reader, Audit: r.auditLog, StepUp: domain.StepUpTTL(time.Hour), Peppers: domain.KeyRing[domain.BackupCode]{r.key}}
}

func (r *recoveryFixture) setUp() *recovery.Service {
	return &recovery.Service{Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, StepUp: domain.StepUpTTL(time.Hour)}
}

func (r *recoveryFixture) confirmTOTP() error {
	return (&recovery.Service{Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, Audit: r.auditLog}).ConfirmTOTP(r.t.Context(), r.ada, r.totpCode())
}

// totpCode returns the current TOTP code.
func (r *recoveryFixture) totpCode() string {
	r.t.Helper()
	code, err := otp.GenerateCode(r.secret.Reveal(), r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

func (r *recoveryFixture) redeem(proof recovery.Proof) (recovery.IssuedGrant, error) {
	return (&recovery.Service{
		Policy: domain.RecoveryAny, Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, Random: rand.Reader, Audit: r.auditLog,
		Peppers: domain.KeyRing[domain.BackupCode]{r.key}, Keys: domain.KeyRing[domain.RecoveryGrantToken]{r.key}, Lockout: r.key,
	}).Redeem(r.t.Context(), proof, identity.Client{IP: "203.0.113.9"})
}

func (r *recoveryFixture) mustRedeem() domain.RecoveryGrantToken {
	r.t.Helper()
	issued, err := r.redeem(recovery.Proof{BackupCode: r.backupCode.RevealFormatted()})
	if err != nil {
		r.t.Fatal(err)
	}
	return issued.Token
}

func (r *recoveryFixture) begin(token domain.RecoveryGrantToken) (ceremony.Begun, error) {
	return (&recovery.Service{Policy: domain.RecoveryAny, Store: r.store, RelyingParty: r.relyingParty, Clock: r.clock, Challenges: r.challenges()}).Begin(r.t.Context(), token, domain.Binding{})
}

func init() {
	maps.Copy(userUseCases, map[string]func(*fixture) func() error{
		"set up TOTP": func(f *fixture) func() error {
			r := f.newRecovery()
			return func() error { _, err := r.setUp().SetUpTOTP(f.t.Context(), f.ada); return err }
		},
		"confirm TOTP": func(f *fixture) func() error { return f.newRecovery().confirmTOTP },
		"remove TOTP": func(f *fixture) func() error {
			r := f.newRecovery()
			if err := r.confirmTOTP(); err != nil {
				f.t.Fatal(err)
			}
			return func() error {
				return (&recovery.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog, StepUp: domain.StepUpTTL(time.Hour)}).RemoveTOTP(f.t.Context(), f.ada)
			}
		},
		"generate backup codes": func(f *fixture) func() error {
			r := f.newRecovery()
			return func() error { _, err := r.generateCodes().GenerateCodes(f.t.Context(), f.ada); return err }
		},
	})
	maps.Copy(otherUseCases, map[string]func(*fixture) func() error{
		"show recovery factors": func(f *fixture) func() error {
			return func() error { _, err := (&recovery.Service{Store: f.store}).Show(f.t.Context(), f.ada); return err }
		},
		"redeem a backup code": func(f *fixture) func() error {
			r := f.newRecovery()
			return func() error {
				_, err := r.redeem(recovery.Proof{BackupCode: r.backupCode.RevealFormatted()})
				return err
			}
		},
		"redeem a TOTP code": func(f *fixture) func() error {
			r := f.newRecovery()
			if err := r.confirmTOTP(); err != nil {
				f.t.Fatal(err)
			}
			f.clock.now = f.clock.now.Add(time.Minute)
			return func() error {
				_, err := r.redeem(recovery.Proof{User: domain.UserRef{Email: "ada@example.org"}, TOTPCode: r.totpCode()})
				return err
			}
		},
		"begin a recovery": func(f *fixture) func() error {
			r := f.newRecovery()
			token := r.mustRedeem()
			return func() error { _, err := r.begin(token); return err }
		},
		"finish a recovery": func(f *fixture) func() error {
			r := f.newRecovery()
			token := r.mustRedeem()
			begun, err := r.begin(token)
			if err != nil {
				f.t.Fatal(err)
			}
			f.device = authenticator.New(origin)
			input := recovery.FinishInput{Token: token, ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options)}
			return func() error {
				finish := &recovery.Service{Policy: domain.RecoveryAny, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), SessionIssuer: f.sessionIssuer(), Audit: f.auditLog}
				_, err := finish.Finish(f.t.Context(), input)
				return err
			}
		},
		"recover a user": func(f *fixture) func() error {
			return func() error {
				operator := &admin.Service{
					Store: f.store, Clock: f.clock, Random: rand.Reader, Audit: f.auditLog, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)},
					RecoveryURL: func(token domain.RecoveryGrantToken) domain.Secret { return token.Secret },
				}
				_, err := operator.RecoverUser(f.t.Context(), domain.UserRef{ID: f.ada.User.ID()})
				return err
			}
		},
	})
}
