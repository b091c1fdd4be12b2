package acceptance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

// story is a scenario on a server of its own.
type story struct {
	title    string
	run      func(e *env)
	settings func(*config.Config) // nil for the default settings
	mail     bool                 // whether the server sends e-mail
}

func TestStories(t *testing.T) {
	for _, s := range journeys {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			s.runWithoutBrowser(t)
			s.runOn(t, "browser on SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
				requireChromium(t)
				return browserDriver{startServer(t, c, configure)}
			})
		})
	}
	for _, s := range slices.Concat(attacks, apiStories) {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			s.runWithoutBrowser(t)
		})
	}
}

// name is the story's name in -run.
func (s story) name() string { return strings.ReplaceAll(s.title, " ", "_") }

func (s story) runWithoutBrowser(t *testing.T) {
	s.runOn(t, "use cases on SQLite in memory, with retries", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
		return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), sqlitestore.Retrying{Store: sqlitestore.New(t)}, c)
	})
	s.runOn(t, "use cases on SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
		return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), sqliteStore(t), c)
	})
	s.runOn(t, "use cases on PostgreSQL", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
		return newUseCaseDriver(t, settings(t, useCaseOrigin, configure), postgresStore(t), c)
	})
	s.runOn(t, "HTTP on SQLite", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
		return httpDriver{startServer(t, c, configure)}
	})
	s.runOn(t, "HTTP on PostgreSQL", func(t *testing.T, c *clock, configure func(*config.Config)) protocolDriver {
		return httpDriver{startServer(t, c, onPostgres(t, configure))}
	})
}

func (s story) runOn(t *testing.T, name string, open func(*testing.T, *clock, func(*config.Config)) protocolDriver) {
	t.Run(name, func(t *testing.T) {
		e := &env{t: t, clock: newClock()}
		if s.mail {
			e.mailServer = mailserver.Start(t, mailserver.Options{})
		}
		e.driver = open(t, e.clock, func(c *config.Config) {
			if s.settings != nil {
				s.settings(c)
			}
			if s.mail {
				c.SMTP = smtpConfig(t, e.mailServer, c.PublicURL)
			}
		})
		s.run(e)
	})
}

var _ ports.Clock = (*clock)(nil)

var update = flag.Bool("update", false, "write the generated documents")

const storiesFile = "../docs/stories.md"

// TestStories_document checks that docs/stories.md matches the table of stories.
func TestStories_document(t *testing.T) {
	want := describeStories()
	if *update {
		if err := os.WriteFile(storiesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(storiesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not match the table of stories: run `make generate`", storiesFile)
	}
}

func describeStories() string {
	var b strings.Builder
	b.WriteString("# The stories\n\n" +
		"A story is a test with a server of its own. `make generate` writes this page from the tables in\n" +
		"`acceptance/journeys_test.go`, `attacks_test.go` and `apistories_test.go`.\n\n" +
		"| driver | what it calls | databases |\n| --- | --- | --- |\n" +
		"| use cases | the use cases directly | SQLite, PostgreSQL |\n" +
		"| HTTP | the HTTP API, on a real listener | SQLite, PostgreSQL |\n" +
		"| browser | Keylodge's own page, in Chromium with a virtual authenticator | SQLite |\n")
	for _, section := range []struct {
		title, text string
		stories     []story
	}{
		{"Journeys", "What users do and see. Every driver runs each journey.", journeys},
		{"Attacks and races", "Forged, copied, repeated and concurrent requests. The browser driver does not run them: a page\n" +
			"cannot send such requests.", attacks},
		{"App clients and operators", "What happens without a page. The browser driver does not run these stories.", apiStories},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", section.title, section.text)
		for _, s := range section.stories {
			fmt.Fprintf(&b, "- %s\n", s.title)
		}
	}
	return b.String()
}
