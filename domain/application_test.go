package domain_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// returnAddresses is also tested against the page, with the URL parser of a browser.
func returnAddresses(t *testing.T) (apps domain.Applications, allowed, rejected []string) {
	t.Helper()
	var table struct{ Origins, Allowed, Rejected []string }
	text, err := os.ReadFile("testdata/returnaddresses.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, origin := range table.Origins {
		apps = append(apps, domain.Application{Origin: origin, Name: "App at " + origin})
	}
	return apps, table.Allowed, table.Rejected
}

func TestApplications_ParseReturnTo(t *testing.T) {
	apps, allowed, rejected := returnAddresses(t)
	for _, s := range allowed {
		address, err := apps.ParseReturnTo(s)
		if err != nil || address.String() != s {
			t.Errorf("%q: got %q, %v", s, address, err)
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme+"://"+u.Host != address.Application().Origin || address.Application().Name != "App at "+address.Application().Origin {
			t.Errorf("%q: got the application %+v", s, address.Application())
		}
	}
	for _, s := range rejected {
		var invalid *domain.InvalidInput
		if address, err := apps.ParseReturnTo(s); !errors.As(err, &invalid) || invalid.Fields[0].Code != "return_not_allowed" {
			t.Errorf("%q: got %q, %v", s, address, err)
		}
	}
	if len(allowed) < 10 || len(rejected) < 80 {
		t.Errorf("the table has %d allowed and %d rejected addresses", len(allowed), len(rejected))
	}
}

func TestApplications_ByOrigin(t *testing.T) {
	apps := domain.Applications{{Origin: "https://a.example.org", Name: "A"}, {Origin: "https://b.example.org", Name: "B"}}
	if found, ok := apps.ByOrigin("https://b.example.org"); !ok || found.Name != "B" {
		t.Errorf("got %+v, %t", found, ok)
	}
	for _, origin := range []string{"", "https://B.example.org", "https://b.example.org/", "https://b.example.or"} {
		if found, ok := apps.ByOrigin(origin); ok || found != (domain.Application{}) {
			t.Errorf("%q: got %+v, %t", origin, found, ok)
		}
	}
}

func TestApplication_RequireRecentAuth(t *testing.T) {
	for _, c := range []struct {
		maxAge, age time.Duration
		want        error
	}{
		{0, 1000 * time.Hour, nil},
		{time.Hour, time.Hour, nil},
		{time.Hour, time.Hour + 1, domain.ErrStepUpRequired},
		{time.Hour, -30 * time.Second, nil},
		{time.Hour, -30*time.Second - 1, domain.ErrStepUpRequired},
		{1000 * time.Hour, noon.Sub(domain.NoAuthTime), domain.ErrStepUpRequired},
	} {
		if err := (domain.Application{MaxAge: c.maxAge}).RequireRecentAuth(noon.Add(-c.age), noon); !errors.Is(err, c.want) {
			t.Errorf("age %s of at most %s: got %v, want %v", c.age, c.maxAge, err, c.want)
		}
	}
}
