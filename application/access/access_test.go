package access_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// echoes names a device by all that it is told of it.
type echoes struct{}

func (echoes) NameOf(userAgent string) string { return userAgent }

// lost are sessions that cannot be looked up.
type lost struct{ ports.Sessions }

func (lost) ByToken(context.Context, domain.TokenDigest) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

// Otherwise a planted token would live on beside the session that should have replaced it.
func TestNobodyIsAdmittedBesideASessionThatCouldNotBeEnded(t *testing.T) {
	token, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	session := domain.RestoreSession(domain.SessionSnapshot{})
	_, err = (&access.Door{}).Admit(t.Context(), ports.Tx{Sessions: lost{}}, session, access.Visitor{Session: token}, noon)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Names come from what is kept of a User-Agent, which is short and printable, not from all that a client may send.
func TestADeviceIsNamedByWhatIsKeptOfIt(t *testing.T) {
	key, err := domain.NewCredential(domain.UserID{}, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		t.Fatal(err)
	}
	door := &access.Door{Random: rand.Reader, Devices: echoes{}}
	session, _, err := door.Open(key, access.Visitor{UserAgent: "curl\x00" + strings.Repeat("x", 1000), IP: "127.0.0.1"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if device := session.Snapshot().Device; device.Name != device.UserAgent || !strings.HasPrefix(device.Name, "curlx") || device.IP != "127.0.0.1" {
		t.Errorf("%+v", device)
	}
}
