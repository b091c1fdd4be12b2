package acceptance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// Three nodes with one PostgreSQL database, each with its own connections and keys in memory, rotate the keys every day under
// traffic. Every node accepts the tokens of every other node, and has published the key of a token an hour before its first
// use.
func TestKeyRotation_AcrossNodes(t *testing.T) {
	const nodeCount = 3
	url, clock := postgresURL(t), newClock()
	cfg := settings(t, useCaseOrigin, func(c *config.Config) { c.Rotation.Interval = 24 * time.Hour })
	nodes := make([]*env, nodeCount)
	for i := range nodes {
		store, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		nodes[i] = &env{t: t, clock: clock, driver: newUseCaseDriver(t, cfg, store, clock)}
	}
	ada := nodes[0].appClient("Ada")
	ada.signsUp()
	tokens := ada.apiDevice().api.tokenPair()
	before := make([]map[string]bool, nodeCount) // the keys that each node published an hour ago
	signers := map[string]bool{}
	for hour := range 5 * 24 {
		for i, e := range nodes {
			if err := e.driver.operator().SigningKeys.Refresh(t.Context()); err != nil {
				t.Fatalf("hour %d, node %d: %v", hour, i, err)
			}
		}
		for i, e := range nodes {
			api := newUseCaseAPI(t, e.driver.operator())
			var rejected rejection
			if tokens, rejected = api.refresh(tokens.refresh); rejected != (rejection{}) {
				t.Fatalf("hour %d: refreshing at node %d: %+v", hour, i, rejected)
			}
			kid := keyID(t, tokens.access)
			signers[kid] = true
			for j, other := range nodes {
				proof := sessions.PresentedToken{AccessToken: tokens.access}
				if _, err := other.driver.operator().Sessions.Authenticate(t.Context(), proof, api.client()); err != nil {
					t.Fatalf("hour %d: node %d rejects the token of node %d: %v", hour, j, i, err)
				}
				if before[j] != nil && !before[j][kid] {
					t.Fatalf("hour %d: node %d did not publish %s before node %d signed with it", hour, j, kid, i)
				}
			}
		}
		for i, e := range nodes {
			before[i] = publishedKeyIDs(t, e.driver.operator())
		}
		clock.advance(time.Hour)
	}
	if len(signers) < 5 || len(signers) > 6 {
		t.Errorf("%d keys have signed in five days, want 5 or 6", len(signers))
	}
}

func publishedKeyIDs(t *testing.T, usecases application.UseCases) map[string]bool {
	t.Helper()
	keys, err := usecases.SigningKeys.Publish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]bool{}
	for _, key := range keys {
		var jwk struct{ Kid string }
		if err := json.Unmarshal(key, &jwk); err != nil {
			t.Fatal(err)
		}
		published[jwk.Kid] = true
	}
	return published
}

func keyID(t *testing.T, token string) string {
	t.Helper()
	header, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Kid string }
	if err := json.Unmarshal(raw, &parsed); err != nil || parsed.Kid == "" {
		t.Fatalf("the header %s has no kid, error %v", raw, err)
	}
	return parsed.Kid
}
