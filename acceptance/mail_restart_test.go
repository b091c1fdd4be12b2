package acceptance

import (
	"log/slog"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/bootstrap"
)

// What could not be sent is sent by the process that comes after.
func TestLettersSurviveARestart(t *testing.T) {
	clock, post := newClock(), mailserver.Start(t, mailserver.Options{})
	config := settings(t, useCaseOrigin, func(c *bootstrap.Config) { c.SMTP = sendingTo(t, post, c.PublicURL) })
	open := func() (*lodge, *bootstrap.App) {
		app, err := bootstrap.Open(config, clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return &lodge{t: t, clock: clock, door: useCaseDoor{app.UseCases()}, post: post}, app
	}
	post.Stop()
	before, app := open()
	before.person("Ada", phone).claims("ada@example.org")
	before.door.settle(t)
	app.Close()
	clock.advance(time.Minute)

	post.Resume()
	after, app := open()
	defer app.Close()
	after.codeIn(after.lastLetter("ada@example.org", 1))
	clock.advance(time.Hour)
	after.lastLetter("ada@example.org", 1)
}
