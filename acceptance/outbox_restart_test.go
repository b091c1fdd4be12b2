package acceptance

import (
	"log/slog"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// An e-mail that could not be sent before a restart is sent after it, once.
func TestOutbox_SurvivesRestart(t *testing.T) {
	clock, mailServer := newClock(), mailserver.Start(t, mailserver.Options{})
	cfg := settings(t, useCaseOrigin, func(c *config.Config) { c.SMTP = smtpConfig(t, mailServer, c.PublicURL) })
	open := func() (*env, *bootstrap.App) {
		app, err := bootstrap.Open(cfg, clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return &env{t: t, clock: clock, driver: useCaseDriver{app.UseCases()}, mailServer: mailServer}, app
	}
	mailServer.Stop()
	before, app := open()
	before.person("Ada", phone).signsUpWithEmail("ada@example.org")
	before.driver.runJobs(t)
	app.Close()
	clock.advance(time.Minute)

	mailServer.Resume()
	after, app := open()
	defer app.Close()
	after.codeIn(after.lastEmail("ada@example.org", 1))
	clock.advance(time.Hour)
	after.lastEmail("ada@example.org", 1)
}
