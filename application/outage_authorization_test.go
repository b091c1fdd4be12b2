package application_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type failingAuthorizationCodes struct {
	ports.AuthorizationCodes
	*failing
}

func (a failingAuthorizationCodes) Add(ctx context.Context, code *domain.AuthorizationCode) error {
	return orFail(a.failing, func() error { return a.AuthorizationCodes.Add(ctx, code) })
}

func (a failingAuthorizationCodes) ByDigest(ctx context.Context, digest domain.TokenDigest) (*domain.AuthorizationCode, error) {
	return valueOrFail(a.failing, func() (*domain.AuthorizationCode, error) { return a.AuthorizationCodes.ByDigest(ctx, digest) })
}

func (a failingAuthorizationCodes) Redeem(ctx context.Context, code *domain.AuthorizationCode) error {
	return orFail(a.failing, func() error { return a.AuthorizationCodes.Redeem(ctx, code) })
}

func (a failingAuthorizationCodes) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(a.failing, func() (int, error) { return a.AuthorizationCodes.DeleteExpired(ctx, expired, limit) })
}

const returnTo = "https://app.example.com/"

func (f *fixture) authorization() *authorization.Service {
	issuer := f.issuer()
	if err := issuer.SigningKeys.Refresh(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return &authorization.Service{
		Store: currentStore{f}, Clock: f.clock, Random: rand.Reader, Audit: f.auditLog,
		Applications:  domain.Applications{{Origin: "https://app.example.com", Name: "Example App"}},
		SessionIssuer: &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Issuer: issuer, Audit: f.auditLog, Lifetime: lifetime, Limit: 100},
	}
}

func (f *fixture) issueCode(service *authorization.Service) authorization.Redemption {
	f.t.Helper()
	verifier, challenge := domain.NewCodeVerifier(rand.Reader)
	issued, err := service.Issue(f.t.Context(), f.ada, authorization.Request{ReturnTo: returnTo, Challenge: challenge.String()})
	if err != nil {
		f.t.Fatal(err)
	}
	location, err := url.Parse(issued.Location)
	if err != nil {
		f.t.Fatal(err)
	}
	return authorization.Redemption{Code: location.Query().Get("code"), Verifier: verifier.Reveal(), ReturnTo: returnTo}
}

func init() {
	maps.Copy(otherUseCases, map[string]func(*fixture) func() error{
		"issue an authorization code": func(f *fixture) func() error {
			service := f.authorization()
			_, challenge := domain.NewCodeVerifier(rand.Reader)
			return func() error {
				_, err := service.Issue(f.t.Context(), f.ada, authorization.Request{ReturnTo: returnTo, Challenge: challenge.String()})
				return err
			}
		},
		"redeem an authorization code": func(f *fixture) func() error {
			service := f.authorization()
			redemption := f.issueCode(service)
			return func() error { _, err := service.Redeem(f.t.Context(), redemption); return err }
		},
	})
}

// A session that ends between the authentication of the request and its transaction issues no code.
func TestIssue_SessionRevokedMeanwhile(t *testing.T) {
	f := newFixture(t)
	service := f.authorization()
	ended := f.ada.Session.Clone()
	ended.Revoke(noon)
	f.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), ended) })
	_, challenge := domain.NewCodeVerifier(rand.Reader)
	if issued, err := service.Issue(t.Context(), f.ada, authorization.Request{ReturnTo: returnTo, Challenge: challenge.String()}); !errors.Is(err, domain.ErrSessionRevoked) || issued.Location != "" {
		t.Errorf("got %+v, %v", issued, err)
	}
}
