package nodes

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// grown is what a migration of the next release may do while this one serves: it adds, and what is there keeps its name,
// its type and its meaning.
const grown = `
	ALTER TABLE users ADD COLUMN of_the_next_release text;
	ALTER TABLE sessions ADD COLUMN of_the_next_release bigint NOT NULL DEFAULT 0;
	ALTER TABLE webauthn_challenges ADD COLUMN of_the_next_release text;
	CREATE TABLE of_the_next_release (id uuid NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE);
	CREATE INDEX users_of_the_next_release ON users (of_the_next_release);
	UPDATE schema_migrations SET version = version + 1;`

// In a rolling upgrade the first node of the next release makes the schema grow while those of this one serve. Nobody is
// turned away meanwhile; and a node of this release does not start on it any more.
func TestNodesServeWhileTheSchemaGrows(t *testing.T) {
	c := start(t)
	ada := c.person()
	must(t, ada.signUp()) // so that all statements are prepared on some connections
	var mu sync.Mutex
	var failures []error
	served := 0
	stop := make(chan struct{})
	var working sync.WaitGroup
	for range 3 {
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p := c.person()
				err := p.signUp()
				if err == nil {
					_, err = p.signIn("cookie")
				}
				mu.Lock()
				if served++; err != nil {
					failures = append(failures, err)
				}
				mu.Unlock()
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	must(t, c.exec(t, grown))
	time.Sleep(time.Second)
	close(stop)
	working.Wait()
	if len(failures) > 0 || served < 10 {
		t.Errorf("%d people were served, and %d turned away: %v", served, len(failures), failures)
	}

	late := c.nodes[0]
	c.kill(late)
	late.log = &logbook{}
	c.run(late)
	_ = late.process.Wait()
	if said := late.log.String(); !strings.Contains(said, "a newer release made it") {
		t.Errorf("a node of this release on the schema of the next one: %s", said)
	}
}
