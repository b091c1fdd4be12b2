package application_test

import (
	"context"
	"crypto/rand"
	"maps"
	"strings"
	"time"

	otp "github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/totp"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type (
	breakingTOTPs struct {
		ports.TOTPs
		*breaking
	}
	breakingCodes struct {
		ports.BackupCodes
		*breaking
	}
	breakingGrants struct {
		ports.Grants
		*breaking
	}
	breakingLockouts struct {
		ports.Lockouts
		*breaking
	}
)

func (t breakingTOTPs) Of(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	return looking(t.breaking, func() (*domain.TOTP, error) { return t.TOTPs.Of(ctx, user) })
}

func (t breakingTOTPs) Save(ctx context.Context, app *domain.TOTP) error {
	return asking(t.breaking, func() error { return t.TOTPs.Save(ctx, app) })
}

func (t breakingTOTPs) Remove(ctx context.Context, user domain.UserID) error {
	return asking(t.breaking, func() error { return t.TOTPs.Remove(ctx, user) })
}

func (c breakingCodes) Replace(ctx context.Context, user domain.UserID, set []domain.CodeDigest, now time.Time) error {
	return asking(c.breaking, func() error { return c.BackupCodes.Replace(ctx, user, set, now) })
}

func (c breakingCodes) Stock(ctx context.Context, user domain.UserID) (left int, made time.Time, err error) {
	err = asking(c.breaking, func() error {
		left, made, err = c.BackupCodes.Stock(ctx, user)
		return err
	})
	return left, made, err
}

func (c breakingCodes) Owner(ctx context.Context, digests []domain.CodeDigest) (owner domain.UserID, found domain.CodeDigest, err error) {
	err = asking(c.breaking, func() error {
		owner, found, err = c.BackupCodes.Owner(ctx, digests)
		return err
	})
	return owner, found, err
}

func (c breakingCodes) Spend(ctx context.Context, digest domain.CodeDigest) error {
	return asking(c.breaking, func() error { return c.BackupCodes.Spend(ctx, digest) })
}

func (g breakingGrants) Put(ctx context.Context, grant *domain.Grant) error {
	return asking(g.breaking, func() error { return g.Grants.Put(ctx, grant) })
}

func (g breakingGrants) OfUser(ctx context.Context, user domain.UserID) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.OfUser(ctx, user) })
}

func (g breakingGrants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.ByToken(ctx, token) })
}

func (g breakingGrants) Take(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.Take(ctx, token) })
}

func (g breakingGrants) Remove(ctx context.Context, user domain.UserID) error {
	return asking(g.breaking, func() error { return g.Grants.Remove(ctx, user) })
}

func (g breakingGrants) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	return looking(g.breaking, func() (int, error) { return g.Grants.Sweep(ctx, expired, limit) })
}

func (l breakingLockouts) Of(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	return looking(l.breaking, func() (*domain.Lockout, error) { return l.Lockouts.Of(ctx, subject) })
}

func (l breakingLockouts) Save(ctx context.Context, lockout *domain.Lockout) error {
	return asking(l.breaking, func() error { return l.Lockouts.Save(ctx, lockout) })
}

func (l breakingLockouts) Clear(ctx context.Context, subject domain.LockoutSubject) error {
	return asking(l.breaking, func() error { return l.Lockouts.Clear(ctx, subject) })
}

func (l breakingLockouts) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return looking(l.breaking, func() (int, error) { return l.Lockouts.Sweep(ctx, before, limit) })
}

// recovers are what people do about recovery, signed in and not.
type recovers struct {
	*house
	sealer  *masterkey.Sealer
	codes   *totp.Codes
	key     []byte
	written domain.BackupCode // one of Ada's
	secret  domain.Secret     // of Ada's app
}

func (h *house) recovers() *recovers {
	h.t.Helper()
	secret, err := masterkey.Parse(strings.Repeat("A", 43))
	if err != nil {
		h.t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r := &recovers{house: h, sealer: sealer, codes: totp.New("Keylodge"), key: make([]byte, 32)}
	made, err := r.makeCodes().Execute(h.t.Context(), h.ada)
	if err != nil {
		h.t.Fatal(err)
	}
	r.written = made[0]
	app, err := r.setUp().Execute(h.t.Context(), h.ada)
	if err != nil {
		h.t.Fatal(err)
	}
	r.secret = app.Secret
	return r
}

func (r *recovers) makeCodes() *recovery.MakeCodes {
	return &recovery.MakeCodes{Store: r.store, Clock: r.clock, Random: rand.Reader, Log: r.log, StepUp: domain.StepUpTTL(time.Hour), Peppers: domain.CodePeppers{r.key}}
}

func (r *recovers) setUp() *recovery.SetUpTOTP {
	return &recovery.SetUpTOTP{Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, StepUp: domain.StepUpTTL(time.Hour)}
}

func (r *recovers) confirms() error {
	return (&recovery.ConfirmTOTP{Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, Log: r.log}).Execute(r.t.Context(), r.ada, r.shows())
}

// shows is the app's code at the moment.
func (r *recovers) shows() string {
	r.t.Helper()
	code, err := otp.GenerateCode(r.secret.Reveal(), r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

func (r *recovers) redeems(claim recovery.Claim) (recovery.Granted, error) {
	return (&recovery.Redeem{
		Policy: domain.RecoveryAny, Store: r.store, Codes: r.codes, Sealer: r.sealer, Clock: r.clock, Random: rand.Reader, Log: r.log,
		Peppers: domain.CodePeppers{r.key}, Keys: domain.GrantKeys{r.key}, Lockout: r.key,
	}).Execute(r.t.Context(), claim, access.Visitor{IP: "203.0.113.9"})
}

func (r *recovers) granted() domain.GrantToken {
	r.t.Helper()
	granted, err := r.redeems(recovery.Claim{BackupCode: r.written.Written()})
	if err != nil {
		r.t.Fatal(err)
	}
	return granted.Token
}

func (r *recovers) begins(token domain.GrantToken) (ceremony.Started, error) {
	return (&recovery.Begin{Policy: domain.RecoveryAny, Store: r.store, RelyingParty: r.relyingParty, Clock: r.clock, Desk: r.desk()}).Execute(r.t.Context(), token, domain.Binding{})
}

func init() {
	maps.Copy(deeds, map[string]func(*house) func() error{
		"set up an app": func(h *house) func() error {
			r := h.recovers()
			return func() error { _, err := r.setUp().Execute(h.t.Context(), h.ada); return err }
		},
		"confirm an app": func(h *house) func() error { return h.recovers().confirms },
		"remove an app": func(h *house) func() error {
			r := h.recovers()
			if err := r.confirms(); err != nil {
				h.t.Fatal(err)
			}
			return func() error {
				return (&recovery.RemoveTOTP{Store: h.store, Clock: h.clock, Log: h.log, StepUp: domain.StepUpTTL(time.Hour)}).Execute(h.t.Context(), h.ada)
			}
		},
		"make backup codes": func(h *house) func() error {
			r := h.recovers()
			return func() error { _, err := r.makeCodes().Execute(h.t.Context(), h.ada); return err }
		},
	})
	maps.Copy(others, map[string]func(*house) func() error{
		"show what to recover with": func(h *house) func() error {
			return func() error { _, err := (&recovery.Show{Store: h.store}).Execute(h.t.Context(), h.ada); return err }
		},
		"redeem a backup code": func(h *house) func() error {
			r := h.recovers()
			return func() error { _, err := r.redeems(recovery.Claim{BackupCode: r.written.Written()}); return err }
		},
		"redeem a code of an app": func(h *house) func() error {
			r := h.recovers()
			if err := r.confirms(); err != nil {
				h.t.Fatal(err)
			}
			h.clock.now = h.clock.now.Add(time.Minute)
			return func() error {
				_, err := r.redeems(recovery.Claim{Name: recovery.Name{Email: "ada@example.org"}, TOTPCode: r.shows()})
				return err
			}
		},
		"begin a recovery": func(h *house) func() error {
			r := h.recovers()
			token := r.granted()
			return func() error { _, err := r.begins(token); return err }
		},
		"finish a recovery": func(h *house) func() error {
			r := h.recovers()
			token := r.granted()
			started, err := r.begins(token)
			if err != nil {
				h.t.Fatal(err)
			}
			h.device = authenticator.New(origin)
			answer := recovery.Answer{Token: token, ChallengeID: started.ChallengeID, Credential: h.creates(started.Options)}
			return func() error {
				finish := &recovery.Finish{Policy: domain.RecoveryAny, Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Door: h.door(), Log: h.log}
				_, err := finish.Execute(h.t.Context(), answer)
				return err
			}
		},
		"give a grant": func(h *house) func() error {
			return func() error {
				give := &admin.RecoverUser{Store: h.store, Clock: h.clock, Random: rand.Reader, Log: h.log, Keys: domain.GrantKeys{make([]byte, 32)}}
				_, err := give.Execute(h.t.Context(), admin.Who{ID: h.ada.User.ID()})
				return err
			}
		},
	})
}
