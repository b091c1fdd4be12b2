package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// sessionEnd is a way in which a session ends. The session is one of two of Ada, whose devices share a passkey.
type sessionEnd struct {
	title        string
	cookie, code string // the codes of the next request by cookie, and by access token; "" if it succeeds
	settings     func(*config.Config)
	end          func(c *endingSession) // the last step ends the session, which is in the cache until then
}

// endingSession is the session that ends, on device, beside Ada's session on her phone.
type endingSession struct {
	*env
	server      *server
	bearer      bool
	ada, device *person
	token       string // of the session, before it ends
	tokens      tokenPair
}

// restoreToken presents the token again that the session had before, which a copy of it has.
func (c *endingSession) restoreToken() {
	if api := c.device.apiDevice().api; c.bearer {
		api.setTokenPair(c.tokens)
	} else {
		api.setSessionToken(c.token)
	}
}

func (c *endingSession) ref() domain.UserRef { return domain.UserRef{Email: domain.Email(c.ada.email)} }

func (c *endingSession) requireNoError(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// otherProcess returns the use cases of a command, which has the database open beside the server. On PostgreSQL its changes take
// effect within a second.
func (c *endingSession) otherProcess(change func(application.UseCases) error) {
	c.t.Helper()
	store, err := c.server.config.Database.Open(c.t.Context())
	c.requireNoError(err)
	usecases, err := bootstrap.UseCases(*c.server.config, store, c.clock)
	c.requireNoError(err)
	c.requireNoError(change(usecases))
	c.requireNoError(store.Close())
	if c.server.config.Database.IsServer() {
		c.clock.advance(time.Second)
	}
}

var sessionEnds = []sessionEnd{
	{title: "its client signs out", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.device.signsOut()
		c.restoreToken()
	}},
	{title: "the user revokes it", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.ada.revokesSession(c.ada.otherSession())
	}},
	{title: "the user revokes all other sessions", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.ada.revokesOtherSessions()
	}},
	{title: "the operator revokes it", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		id, err := domain.ParseSessionID(c.ada.otherSession().id)
		c.requireNoError(err)
		c.requireNoError(c.driver.operator().Admin.RevokeSession(c.t.Context(), id))
	}},
	{title: "the operator revokes all sessions", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		_, err := c.driver.operator().Admin.RevokeSessions(c.t.Context(), c.ref())
		c.requireNoError(err)
	}},
	{title: "the operator disables the account", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.disables(c.ada)
	}},
	{title: "the user deletes the account", cookie: "unauthenticated", code: "unauthenticated", end: func(c *endingSession) {
		c.ada.stepsUp()
		c.device.requireSignedIn()
		c.ada.deletesAccount()
	}},
	{title: "the operator deletes the account", cookie: "unauthenticated", code: "unauthenticated", end: func(c *endingSession) {
		c.requireNoError(c.driver.operator().Admin.DeleteUser(c.t.Context(), c.ref()))
	}},
	{title: "the user removes its passkey", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		first := c.ada.listPasskeys()[0]
		c.ada.stepsUp()
		c.ada.addsPasskey("Key", securityKey)
		c.device.requireSignedIn()
		c.ada.removesPasskey(first)
	}},
	{title: "the user recovers the account", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.ada.stepsUp()
		codes := c.ada.makesBackupCodes()
		c.device.requireSignedIn()
		c.onNewDevice(c.ada).recovers(withBackupCode(codes[0]))
	}},
	{title: "a further sign-in exceeds the limit", cookie: "session_revoked", code: "session_revoked",
		settings: func(cfg *config.Config) { cfg.SessionLimit = 2 },
		end: func(c *endingSession) {
			c.clock.advance(2 * time.Minute)
			c.device.requireSignedIn()
			c.clock.advance(time.Second / 2)
			c.ada.requireSignedIn()
			c.driver.runJobs(c.t)
			c.ada.onSecondDevice()
		}},
	{title: "its client steps up", cookie: "unauthenticated", end: func(c *endingSession) {
		c.device.stepsUp()
		c.restoreToken()
	}},
	{title: "its refresh token is used again after its successor", cookie: "-", code: "session_revoked", end: func(c *endingSession) {
		c.device.refreshes()
		c.device.refreshes()
		c.device.requireSignedIn()
		c.device.requireRefreshRejected(c.tokens, "refresh_token_reused")
	}},
	{title: "it is idle", cookie: "session_expired", code: "unauthenticated", settings: func(cfg *config.Config) { cfg.Sessions.IdleTTL = time.Minute },
		end: func(c *endingSession) { c.clock.advance(time.Minute) }},
	{title: "its lifetime ends", cookie: "session_expired", code: "unauthenticated", settings: func(cfg *config.Config) { cfg.Sessions.TTL = time.Minute },
		end: func(c *endingSession) { c.clock.advance(time.Minute) }},
	{title: "another process revokes it", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.otherProcess(func(u application.UseCases) error {
			_, err := u.Admin.RevokeSessions(c.t.Context(), c.ref())
			return err
		})
	}},
	{title: "another process disables the account", cookie: "session_revoked", code: "session_revoked", end: func(c *endingSession) {
		c.otherProcess(func(u application.UseCases) error {
			_, err := u.Admin.DisableUser(c.t.Context(), c.ref())
			return err
		})
	}},
	{title: "another process deletes the account", cookie: "unauthenticated", code: "unauthenticated", end: func(c *endingSession) {
		c.otherProcess(func(u application.UseCases) error { return u.Admin.DeleteUser(c.t.Context(), c.ref()) })
	}},
}

// The first request after the end of a session is rejected, although the session is in the server's cache.
// Requirement: ASVS-7.4.1, ASVS-7.4.2
func TestSession_EndTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	onEnginesAndTransports(t, func(t *testing.T, open configureDatabase, bearer bool) {
		for _, row := range sessionEnds {
			code := row.cookie
			if bearer {
				code = row.code
			}
			if code == "-" {
				continue
			}
			t.Run(row.title, func(t *testing.T) {
				c := openEndingSession(t, open, bearer, row.settings)
				row.end(c)
				if code == "" {
					c.device.requireSignedIn()
				} else {
					c.device.requireSignedOut(code)
				}
			})
		}
	})
}

// The first request after a change shows the change, although the session is in the server's cache.
func TestSession_ChangeTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	onEnginesAndTransports(t, func(t *testing.T, open configureDatabase, bearer bool) {
		c := openEndingSession(t, open, bearer, nil)
		c.ada.stepsUp()
		c.device.requireSignedIn()
		c.ada.changesAccount("Ada L.", "ada.l@example.org")
		c.device.profile = c.ada.profile
		c.device.requireSignedIn()

		c.device.stepsUp() // the next request has the new authentication time
		c.device.requireSignedIn()
		c.device.removesPasskey(c.device.addsPasskey("Key", securityKey))
	})
}

type configureDatabase func(testing.TB, func(*config.Config)) func(*config.Config)

func onEnginesAndTransports(t *testing.T, run func(t *testing.T, open configureDatabase, bearer bool)) {
	for engine, open := range map[string]configureDatabase{"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		for transport, bearer := range map[string]bool{"cookie": false, "access token": true} {
			t.Run(engine+", "+transport, func(t *testing.T) { run(t, open, bearer) })
		}
	}
}

// openEndingSession returns a session that the server has in its cache.
func openEndingSession(t *testing.T, open configureDatabase, bearer bool, configure func(*config.Config)) *endingSession {
	t.Helper()
	clock := newClock()
	s := startServer(t, clock, open(t, func(cfg *config.Config) {
		if configure != nil {
			configure(cfg)
		}
	}))
	c := &endingSession{env: &env{t: t, clock: clock, driver: httpDriver{s}}, server: s, bearer: bearer}
	c.ada = c.newUserWithEmail("Ada", phone, "ada@example.org")
	c.device = &person{t: t, device: c.ada.device.syncedDevice(), profile: c.ada.profile}
	api := c.device.apiDevice().api
	if bearer {
		api.useBearerTokens()
	}
	c.device.signsIn()
	if bearer {
		c.tokens = api.tokenPair()
	} else {
		c.token = api.sessionToken()
	}
	for range 2 {
		c.device.requireSignedIn()
		c.ada.requireSignedIn()
	}
	return c
}
