package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func TestResponses_TimeoutAndDeviceName(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	options, verify := signUpWithHeaders(t, s, s.origin, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	var begun struct {
		Options struct{ Timeout int }
	}
	if err := json.Unmarshal(options.Body, &begun); err != nil || begun.Options.Timeout != 300_000 {
		t.Errorf("the timeout of the options is not the lifetime of the challenge: %s", options.Body)
	}
	if !strings.Contains(string(verify.Body), `"name":"Firefox on Linux"`) {
		t.Errorf("the session has no device name: %s", verify.Body)
	}
}

// sessionContent is a session response as docs/reference/api.md describes it.
type sessionContent struct {
	User struct {
		ID            string    `json:"id"`
		Email         *string   `json:"email"`
		EmailVerified *bool     `json:"email_verified"`
		DisplayName   *string   `json:"display_name"`
		CreatedAt     time.Time `json:"created_at"`
	} `json:"user"`
	Session struct {
		AMR        []string  `json:"amr"`
		Assurance  string    `json:"assurance"`
		CreatedAt  time.Time `json:"created_at"`
		AuthTime   time.Time `json:"auth_time"`
		LastSeenAt time.Time `json:"last_seen_at"`
		ExpiresAt  time.Time `json:"expires_at"`
		PasskeyID  string    `json:"passkey_id"`
		Current    bool      `json:"current"`
	} `json:"session"`
	Passkey struct {
		ID             string     `json:"id"`
		Name           *string    `json:"name"`
		Transports     []string   `json:"transports"`
		BackupEligible bool       `json:"backup_eligible"`
		BackedUp       bool       `json:"backed_up"`
		SignCount      uint32     `json:"sign_count"`
		CreatedAt      time.Time  `json:"created_at"`
		LastUsedAt     *time.Time `json:"last_used_at"`
		Status         string     `json:"status"`
		Authenticator  struct {
			AAGUID string `json:"aaguid"`
		} `json:"authenticator"`
	} `json:"passkey"`
	Signals struct {
		RPID        string   `json:"rp_id"`
		UserID      string   `json:"user_id"`
		Accepted    []string `json:"accepted_credential_ids"`
		Name        string   `json:"name"`
		DisplayName string   `json:"display_name"`
	} `json:"signals"`
}

func (a apiResponse) sessionContent(t *testing.T, status int) sessionContent {
	t.Helper()
	var content sessionContent
	if err := json.Unmarshal(a.Body, &content); err != nil || a.StatusCode != status {
		t.Fatalf("status %d, body %s: %v", a.StatusCode, a.Body, err)
	}
	return content
}

// Requirement: NIST-appendix-B
func TestSessionResponse_Content(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		device             []authenticator.Option
		forge              []authenticator.Variation
		eligible, backedUp bool
		counts             uint32
		method             string
	}{
		"a security key":           {[]authenticator.Option{authenticator.DeviceBound()}, nil, false, false, 1, "hwk"},
		"a synced passkey":         {nil, nil, true, true, 0, "swk"},
		"a passkey not synced yet": {nil, []authenticator.Variation{authenticator.ForgeFlags(0, authenticator.BackedUp)}, true, false, 0, "swk"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, nil)
			device := authenticator.New(s.origin, append(c.device, authenticator.WithAAGUID([16]byte{0xea, 0x9b, 0x8d, 0x66}))...)
			begin := func(path, body string) (begun client.Ceremony) {
				t.Helper()
				if err := json.Unmarshal(s.send(t, http.MethodPost, path, body).Body, &begun); err != nil {
					t.Fatal(err)
				}
				return begun
			}
			begun := begin("/v1/signup/options", `{"email":"ada@example.org","display_name":"Ada"}`)
			var options struct {
				User struct{ ID string }
			}
			if err := json.Unmarshal(begun.Options, &options); err != nil {
				t.Fatal(err)
			}
			credential, err := device.Create(begun.Options, c.forge...)
			if err != nil {
				t.Fatal(err)
			}
			signUp := s.send(t, http.MethodPost, "/v1/signup/verify", string(encode(t, map[string]any{
				"challenge_id": begun.ChallengeID, "credential": credential, "passkey_name": "Ada's key",
			})))
			first, registered := signUp.sessionContent(t, 201), clock.Now()

			clock.advance(time.Hour)
			begun = begin("/v1/login/options", `{}`)
			signed, err := device.Get(begun.Options, c.forge...)
			if err != nil {
				t.Fatal(err)
			}
			signIn := s.send(t, http.MethodPost, "/v1/login/verify", string(encode(t, map[string]any{"challenge_id": begun.ChallengeID, "credential": signed})))
			second, used := signIn.sessionContent(t, 200), clock.Now()

			for when, got := range map[string]sessionContent{"sign-up": first, "sign-in": second} {
				user, session, passkey, signals := got.User, got.Session, got.Passkey, got.Signals
				if user.Email == nil || *user.Email != "ada@example.org" || user.EmailVerified == nil || *user.EmailVerified || user.DisplayName == nil ||
					*user.DisplayName != "Ada" || !user.CreatedAt.Equal(registered) || user.ID != first.User.ID {
					t.Errorf("at %s the user is %+v", when, user)
				}
				if !slices.Equal(session.AMR, []string{c.method, "user", "mfa"}) || session.Assurance != "passkey" || !session.Current ||
					!session.ExpiresAt.Equal(session.CreatedAt.Add(30*day)) || !session.AuthTime.Equal(session.CreatedAt) || !session.LastSeenAt.Equal(session.CreatedAt) {
					t.Errorf("at %s the session is %+v", when, session)
				}
				if passkey.ID != credential.ID.String() || passkey.Name == nil || *passkey.Name != "Ada's key" || len(credential.Response.Transports) == 0 ||
					len(passkey.Transports) != len(credential.Response.Transports) || passkey.BackupEligible != c.eligible || passkey.BackedUp != c.backedUp ||
					!passkey.CreatedAt.Equal(registered) || passkey.Status != "active" || passkey.Authenticator.AAGUID != "ea9b8d66-0000-0000-0000-000000000000" {
					t.Errorf("at %s the passkey is %+v", when, passkey)
				}
				if signals.RPID != "localhost" || signals.UserID != options.User.ID || !slices.Equal(signals.Accepted, []string{passkey.ID}) ||
					signals.Name != "ada@example.org" || signals.DisplayName != "Ada" {
					t.Errorf("at %s the signals are %+v", when, signals)
				}
			}
			if first.Passkey.LastUsedAt != nil || second.Passkey.LastUsedAt == nil || !second.Passkey.LastUsedAt.Equal(used) {
				t.Errorf("last used at %v, then %v", first.Passkey.LastUsedAt, second.Passkey.LastUsedAt)
			}
			if counted := second.Passkey.SignCount - first.Passkey.SignCount; counted != c.counts || c.counts > 0 && second.Passkey.SignCount == 0 {
				t.Errorf("counted %d, then %d", first.Passkey.SignCount, second.Passkey.SignCount)
			}

			clock.advance(time.Hour)
			now := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", signIn.Cookies()[0].Name+"="+signIn.Cookies()[0].Value).sessionContent(t, 200)
			if !now.Session.LastSeenAt.Equal(clock.Now()) || !now.Session.AuthTime.Equal(used) || !now.Session.ExpiresAt.Equal(used.Add(30*day)) || !now.Session.Current || now.Session.PasskeyID != first.Passkey.ID {
				t.Errorf("an hour later the session is %+v", now.Session)
			}
		})
	}
}

// An anomaly of a passkey is reported in the server's log, in the metrics and in an e-mail to the owner, under every policy,
// at sign-in and at step-up. The runbook quotes the log message.
// Requirement: WebAuthn-7.2-22
func TestPasskeyAnomaly_ReportedUnderEveryPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		device  deviceKind
		adjust  func(*domain.UsePolicy)
		forgery forgery
		anomaly domain.Anomaly
		outcome string
		subject string
	}{
		"counter, reject":  {securityKey, func(*domain.UsePolicy) {}, forgedSignCount(1), domain.AnomalyCounterRegressed, "rejected", "may have been copied"},
		"counter, flag":    {securityKey, func(p *domain.UsePolicy) { p.Counter = domain.CounterFlag }, forgedSignCount(1), domain.AnomalyCounterRegressed, "allowed", "may have been copied"},
		"counter, suspend": {securityKey, func(p *domain.UsePolicy) { p.Counter = domain.CounterSuspend }, forgedSignCount(1), domain.AnomalyCounterRegressed, "suspended", "suspended"},
		"backup eligibility, reject": {
			phone, func(*domain.UsePolicy) {}, backupEligibilityCleared, domain.AnomalyBackupEligibilityChanged, "rejected", "may have been copied",
		},
		"backup eligibility, accept and record": {
			phone, func(p *domain.UsePolicy) { p.BackupEligibility = domain.BackupEligibilityAcceptAndRecord }, backupEligibilityCleared,
			domain.AnomalyBackupEligibilityChanged, "allowed", "may have been copied",
		},
	} {
		for _, where := range []string{"sign-in", "step-up"} {
			t.Run(name+", "+where, func(t *testing.T) {
				clock := newClock()
				mailServer := mailserver.Start(t, mailserver.Options{})
				s := startServer(t, clock, func(cfg *config.Config) {
					cfg.SMTP = smtpConfig(t, mailServer, cfg.PublicURL)
					c.adjust(&cfg.Use)
				})
				e := &env{t: t, clock: clock, driver: httpDriver{s}, mailServer: mailServer}
				ada := e.personWithVerifiedEmail("Ada", c.device, "ada@example.org")
				key := ada.listPasskeys()[0].id
				for range 3 {
					ada.requireOK(ada.device.stepUp())
				}
				counter := fmt.Sprintf("keylodge_passkey_anomalies_total{anomaly=%q} ", c.anomaly)
				if strings.Contains(s.log.text(), `"passkey anomaly"`) || !strings.Contains(string(s.readMetrics(t)), counter+"0\n") {
					t.Fatal("an anomaly is reported before the forged response")
				}
				var rejected rejection
				if where == "step-up" {
					rejected = ada.device.stepUp(c.forgery)
				} else {
					ada.signsOut()
					rejected = ada.device.signIn("", c.forgery).rejection
				}
				if rejected.ok() != (c.outcome == "allowed") {
					t.Errorf("rejected with %+v, want the outcome %s", rejected, c.outcome)
				}
				found := s.log.lastEntry("passkey anomaly")
				for attribute, want := range map[string]any{"level": "WARN", "anomaly": string(c.anomaly), "outcome": c.outcome, "passkey_id": key, "ip": "127.0.0.1"} {
					if found[attribute] != want {
						t.Errorf("%s is %v in the log, want %v", attribute, found[attribute], want)
					}
				}
				if user, _ := found["user_id"].(string); len(user) != 36 {
					t.Errorf("the log entry has no user id: %v", found)
				}
				if metrics := string(s.readMetrics(t)); !strings.Contains(metrics, counter+"1\n") {
					t.Errorf("the metrics do not have %q1", counter)
				}
				if email := e.lastEmail("ada@example.org", 2); !strings.Contains(email.Subject, c.subject) {
					t.Errorf("the notification has the subject %q, want %q in it", email.Subject, c.subject)
				}
			})
		}
	}
}

// lastEntry returns the attributes of the last line with the message, or nil.
func (l *logRecorder) lastEntry(message string) (found map[string]any) {
	for line := range strings.Lines(l.text()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry["msg"] == message {
			found = entry
		}
	}
	return found
}

func TestSessionResponse_MissingNamesAreNull(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	got := verify.sessionContent(t, 201)
	if got.User.Email != nil || got.User.DisplayName != nil || got.Passkey.Name != nil || !strings.HasPrefix(got.Signals.Name, "account ") || got.Signals.DisplayName != got.Signals.Name {
		t.Errorf("absent names are not null, or the account has no generated name: %s", verify.Body)
	}
}

func TestConfig_ReflectsSettings(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), func(c *config.Config) {
		c.Registration, c.RPName, c.PublicURL, c.RPID, c.Origins = domain.RegistrationClosed, "Ada's", "https://id.example.org", "example.org", []string{"https://id.example.org"}
		c.Links.Support, c.SecuredBy = "mailto:support@example.org", true
	})
	for path, want := range map[string]string{
		"/v1/config":                     `{"rp_id":"example.org","rp_name":"Ada's","registration":"closed","email":"optional","recovery":{"policy":"any"},"mail":"off","language":"en","languages":["en","de"],"brand":{"logo":null,"logo_dark":null,"favicon":null,"background":null,"stylesheet":null,"links":{"terms":null,"privacy":null,"imprint":null,"support":"mailto:support@example.org","home":null},"secured_by":true},"applications":[{"origin":"https://app.example.org","name":"Example App"}]}`,
		"/.well-known/passkey-endpoints": `{"enroll":"https://id.example.org/account/passkeys","manage":"https://id.example.org/account/passkeys"}`,
	} {
		got := s.send(t, http.MethodGet, path, "")
		if string(got.Body) != want {
			t.Errorf("%s: got %s\nwant %s", path, got.Body, want)
		}
		if public := strings.Contains(got.Header.Get("Cache-Control"), "public"); public == strings.HasPrefix(path, "/v1") {
			t.Errorf("%s: Cache-Control %q", path, got.Header.Get("Cache-Control"))
		}
	}
}

// The decoys of an unknown address stay the same after a restart, like an account's passkeys, and differ between servers.
// Requirement: WebAuthn-14.6.2
func TestDecoys_StableAcrossRestarts(t *testing.T) {
	t.Parallel()
	decoys := func(secret *masterkey.Key) (string, *masterkey.Key) {
		t.Helper()
		s := startServer(t, newClock(), func(c *config.Config) {
			if secret != nil {
				c.Secret = secret
			}
			secret = c.Secret
		})
		var begun struct {
			Options struct {
				AllowCredentials json.RawMessage `json:"allowCredentials"`
			} `json:"options"`
		}
		if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/login/options", `{"email":"unknown@example.org"}`).Body, &begun); err != nil {
			t.Fatal(err)
		}
		return string(begun.Options.AllowCredentials), secret
	}
	first, secret := decoys(nil)
	if second, _ := decoys(secret); len(first) < 20 || second != first {
		t.Errorf("the decoys are %s before a restart and %s afterwards", first, second)
	}
	if other, _ := decoys(nil); other == first {
		t.Errorf("two servers have the same decoys: %s", first)
	}
}

func TestMetrics_CountSignIns(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	ada := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	ada.signsIn()
	if counts := s.readMetrics(t); !strings.Contains(string(counts), "keylodge_sign_ins_total 2\n") {
		t.Errorf("the metrics do not count two sign-ins: %s", counts)
	}
}
