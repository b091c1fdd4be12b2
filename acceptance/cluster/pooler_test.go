package cluster

import (
	"fmt"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
)

// Three nodes share one PgBouncer under many concurrent requests.
// Requirement: Durability-concurrency
func TestCluster_BehindPgBouncer(t *testing.T) {
	for mode, settings := range map[string][]string{
		"transaction": nil,
		"session":     {fmt.Sprint("default_pool_size = ", clusterSize*16+2)}, // as docs/operations/postgresql-and-several-nodes.md requires
	} {
		t.Run(mode, func(t *testing.T) {
			database := postgresserver.EmptyDatabase(t)
			c := startOn(t, database, postgresserver.StartPooler(t, database, mode, settings...).URL(database), keylodgeserver.Binary(t))
			for _, count := range []int{24, 64} {
				persons := make([]*person, count)
				each := func(what string, do func(*person) error) {
					t.Helper()
					var all sync.WaitGroup
					for i := range persons {
						all.Go(func() {
							if err := do(persons[i]); err != nil {
								t.Errorf("%d at once, %s: %v", count, what, err)
							}
						})
					}
					all.Wait()
				}
				for i := range persons {
					persons[i] = c.person()
				}
				each("sign up", (*person).signUp)
				each("sign in", func(p *person) error {
					_, err := p.signIn("cookie")
					return err
				})
				each("session", func(p *person) error {
					_, err := p.whoAmI()
					return err
				})
				var users int
				requireNoError(t, c.query(t, "SELECT count(*) FROM users", &users))
				if users < count {
					t.Errorf("%d accounts after %d sign-ups", users, count)
				}
			}
		})
	}
}
