package acceptance

import (
	"slices"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// A response is verified with the settings and the state at its arrival, not those at the beginning of the ceremony. Between
// the two, the test starts the server again with other settings.
// Requirement: WebAuthn-7.1-8
func TestVerify_UsesCurrentSettings(t *testing.T) {
	t.Parallel()
	const app = "http://app.localhost:8443" // the origin of all responses
	allowApp := func(c *config.Config) { c.Origins = append(c.Origins, app) }
	for name, c := range map[string]struct {
		adjust func(*config.Config)       // the settings of the second start
		change func(t *testing.T, e *env) // the change of the state before the second start
		want   map[domain.Purpose]string  // the codes of the rejected responses
	}{
		"no change": {},
		"registration is closed": {
			adjust: func(c *config.Config) { c.Registration = domain.RegistrationClosed },
			want:   map[domain.Purpose]string{domain.PurposeSignUp: "registration_closed"},
		},
		"recovery is off": {
			adjust: func(c *config.Config) { c.Recovery = domain.RecoveryOff },
			want:   map[domain.Purpose]string{domain.PurposeRecovery: "invalid_code"},
		},
		"a recovery requires both factors": {
			adjust: func(c *config.Config) { c.Recovery = domain.RecoveryBoth },
			want:   map[domain.Purpose]string{domain.PurposeRecovery: "invalid_code"},
		},
		"the passkey limit is one": { // a recovery ignores the limit
			adjust: func(c *config.Config) { c.PasskeyLimit = 1 },
			want:   map[domain.Purpose]string{domain.PurposeAddPasskey: "passkey_limit_reached"},
		},
		"only listed authenticators are allowed": {
			adjust: func(c *config.Config) {
				c.Authenticators.Allowed = []domain.AAGUID{{1}}
			},
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the origin is no longer allowed": {
			adjust: func(c *config.Config) {
				c.Origins = slices.DeleteFunc(c.Origins, func(o string) bool { return o == app })
			},
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeLogin: "passkey_rejected", domain.PurposeStepUp: "passkey_rejected",
				domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the RP ID has changed": {
			adjust: func(c *config.Config) { c.RPID, c.RetiredRPIDs = "app.localhost", []string{"localhost"} },
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeLogin: "passkey_rejected", domain.PurposeStepUp: "passkey_rejected",
				domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the accounts are disabled": {
			change: func(t *testing.T, e *env) {
				for _, name := range []string{"ada", "ben", "eve", "zoe"} {
					user := domain.UserRef{Email: domain.Email(name + "@example.org")}
					if _, err := e.driver.operator().Admin.DisableUser(t.Context(), user); err != nil {
						t.Fatal(err)
					}
				}
			},
			want: map[domain.Purpose]string{
				domain.PurposeLogin: "user_disabled", domain.PurposeStepUp: "session_revoked", domain.PurposeAddPasskey: "session_revoked",
				domain.PurposeRecovery: "challenge_not_found",
			},
		},
		"e-mail is off": { // an address is then set without confirmation
			adjust: func(c *config.Config) { c.SMTP = nil },
			change: func(_ *testing.T, e *env) { e.personWithVerifiedEmail("Nia", phone, "new@example.org") },
			want:   map[domain.Purpose]string{domain.PurposeSignUp: "email_taken"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, secret := newRestartableServer(t), newSecret(t)
			start := func(configure func(*config.Config)) (*server, *env) {
				s := startServer(t, r.clock, func(c *config.Config) {
					r.settings(secret)(c)
					allowApp(c)
					if configure != nil {
						configure(c)
					}
				})
				s.origin = r.origin
				return s, &env{t: t, clock: r.clock, driver: httpDriver{s}, mailServer: r.mailServer}
			}
			before, e := start(nil)
			onApp := func(p *person) *person {
				p.apiDevice().authenticator = authenticator.New(app)
				return p
			}
			signUp := func(name, email string) *person {
				p := onApp(e.person(name, phone))
				p.signsUpWithEmail(email)
				p.requireOK(p.device.confirmEmail(e.codeIn(e.lastEmail(email, 1))))
				p.email = email
				return p
			}
			ada, ben, eve, zoe := signUp("Ada", "ada@example.org"), signUp("Ben", "ben@example.org"), signUp("Eve", "eve@example.org"), signUp("Zoe", "zoe@example.org")
			codes := zoe.makesBackupCodes()
			ada.signsOut()

			nia := onApp(e.person("Nia", phone))
			nia.email = "new@example.org"
			signingUp := nia.apiDevice().mustBeginSignUp(nia.profile)
			signingIn := ada.apiDevice().mustBeginSignIn()
			steppingUp := ben.apiDevice().mustBeginStepUp()
			adding := eve.apiDevice().mustBeginAddPasskey()
			zoeNew := onApp(e.onNewDevice(zoe))
			grant := zoeNew.apiDevice().mustRedeem(withBackupCode(codes[0]))
			recovering := zoeNew.apiDevice().mustBeginRecovery(grant)

			newKey := nia.apiDevice().makeCredential(signingUp)
			adaAssertion, benAssertion := ada.apiDevice().getAssertion(signingIn), ben.apiDevice().getAssertion(steppingUp)
			eveCredential := onApp(e.person("Eve", phone)).apiDevice().makeCredential(adding) // on another device
			zoeCredential := zoeNew.apiDevice().makeCredential(recovering)
			finish := map[domain.Purpose]func() rejection{
				domain.PurposeSignUp: func() rejection {
					return nia.apiDevice().api.finishSignUp(signingUp.challengeID, newKey).rejection
				},
				domain.PurposeLogin: func() rejection {
					return ada.apiDevice().api.finishSignIn(signingIn.challengeID, adaAssertion).rejection
				},
				domain.PurposeStepUp:     func() rejection { return ben.apiDevice().api.finishStepUp(steppingUp.challengeID, benAssertion) },
				domain.PurposeAddPasskey: func() rejection { return eve.apiDevice().api.finishAddPasskey(adding.challengeID, "", eveCredential) },
				domain.PurposeRecovery: func() rejection {
					return zoeNew.apiDevice().api.finishRecovery(grant, recovering.challengeID, zoeCredential).rejection
				},
			}
			if c.change != nil {
				c.change(t, e)
			}
			people := []*person{ada, ben, eve, nia, zoeNew}
			after, _ := start(c.adjust)
			reconnectTo(after, people...)
			for purpose, respond := range finish {
				if got := respond(); got.code != c.want[purpose] {
					t.Errorf("%s: got %+v, want %q", purpose, got, c.want[purpose])
				}
			}
			// A rejected response has consumed the challenge: with the first settings again it is still rejected.
			reconnectTo(before, people...)
			for purpose, respond := range finish {
				if c.want[purpose] == "" {
					continue
				}
				want := "challenge_not_found"
				if c.want[purpose] == "session_revoked" {
					want = "session_revoked"
				}
				if got := respond(); got.code != want {
					t.Errorf("%s: the same response again: %+v, want %q", purpose, got, want)
				}
			}
		})
	}
}
