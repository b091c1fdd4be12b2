package acceptance

import (
	"slices"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// A ceremony is judged by the settings and the state of the moment when its answer comes, and not by those under which it
// began. The server is started again with other settings in between; the answers are those of the options of before.
func TestVerify_UsesCurrentSettings(t *testing.T) {
	const app = "http://app.localhost:8443" // the origin of all answers
	inOrder := func(c *bootstrap.Config) { c.Origins = append(c.Origins, app) }
	for name, c := range map[string]struct {
		adjust func(*bootstrap.Config)    // of the second start
		change func(t *testing.T, l *env) // of the state, before it
		want   map[domain.Purpose]string  // how an answer is refused; "" or nothing if it is not
	}{
		"nothing": {},
		"registration is closed": {
			adjust: func(c *bootstrap.Config) { c.Registration = domain.RegistrationClosed },
			want:   map[domain.Purpose]string{domain.PurposeSignUp: "registration_closed"},
		},
		"recovery is off": {
			adjust: func(c *bootstrap.Config) { c.Recovery = domain.RecoveryOff },
			want:   map[domain.Purpose]string{domain.PurposeRecovery: "invalid_code"},
		},
		"a recovery takes two factors": {
			adjust: func(c *bootstrap.Config) { c.Recovery = domain.RecoveryBoth },
			want:   map[domain.Purpose]string{domain.PurposeRecovery: "invalid_code"},
		},
		"one passkey is enough": { // a recovery enrols one whatever the limit says
			adjust: func(c *bootstrap.Config) { c.PasskeyLimit = 1 },
			want:   map[domain.Purpose]string{domain.PurposeAddPasskey: "passkey_limit_reached"},
		},
		"only certain authenticators may join": {
			adjust: func(c *bootstrap.Config) {
				c.Authenticators.Allowed = []domain.AAGUID{{1}}
			},
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the origin is no longer allowed": {
			adjust: func(c *bootstrap.Config) {
				c.Origins = slices.DeleteFunc(c.Origins, func(o string) bool { return o == app })
			},
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeLogin: "passkey_rejected", domain.PurposeStepUp: "passkey_rejected",
				domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the RP id is another": {
			adjust: func(c *bootstrap.Config) { c.RPID, c.RetiredRPIDs = "app.localhost", []string{"localhost"} },
			want: map[domain.Purpose]string{
				domain.PurposeSignUp: "passkey_rejected", domain.PurposeLogin: "passkey_rejected", domain.PurposeStepUp: "passkey_rejected",
				domain.PurposeAddPasskey: "passkey_rejected", domain.PurposeRecovery: "passkey_rejected",
			},
		},
		"the accounts are disabled": {
			change: func(t *testing.T, l *env) {
				for _, name := range []string{"ada", "ben", "eve", "zoe"} {
					who := domain.UserRef{Email: domain.Email(name + "@example.org")}
					if _, err := l.driver.operator().Admin.DisableUser(t.Context(), who); err != nil {
						t.Fatal(err)
					}
				}
			},
			want: map[domain.Purpose]string{
				domain.PurposeLogin: "user_disabled", domain.PurposeStepUp: "session_revoked", domain.PurposeAddPasskey: "session_revoked",
				domain.PurposeRecovery: "challenge_not_found",
			},
		},
		"no mail is sent": { // so that addresses are taken at once, by the first who signs up
			adjust: func(c *bootstrap.Config) { c.SMTP = nil },
			change: func(_ *testing.T, l *env) { l.personWithVerifiedEmail("Nia", phone, "new@example.org") },
			want:   map[domain.Purpose]string{domain.PurposeSignUp: "email_taken"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, secret := newInstallation(t), newSecret(t)
			start := func(adjust func(*bootstrap.Config)) (*server, *env) {
				s := startServer(t, i.clock, func(c *bootstrap.Config) {
					i.settings(secret)(c)
					inOrder(c)
					if adjust != nil {
						adjust(c)
					}
				})
				s.origin = i.origin
				return s, &env{t: t, clock: i.clock, driver: httpDriver{s}, mailServer: i.mailServer}
			}
			before, l := start(nil)
			onApp := func(p *person) *person {
				p.apiDevice().authenticator = authenticator.New(app)
				return p
			}
			joins := func(name, email string) *person {
				p := onApp(l.person(name, phone))
				p.signsUpWithEmail(email)
				p.requireOK(p.device.confirmEmail(l.codeIn(l.lastEmail(email, 1))))
				p.email = email
				return p
			}
			ada, ben, eve, zoe := joins("Ada", "ada@example.org"), joins("Ben", "ben@example.org"), joins("Eve", "eve@example.org"), joins("Zoe", "zoe@example.org")
			codes := zoe.makesBackupCodes()
			ada.signsOut()

			newcomer := onApp(l.person("Nia", phone))
			newcomer.email = "new@example.org"
			signingUp := newcomer.apiDevice().mustBeginSignUp(newcomer.profile)
			signingIn := ada.apiDevice().mustBeginSignIn()
			steppingUp, refused := ben.apiDevice().api.beginStepUp()
			ben.requireOK(refused)
			adding, refused := eve.apiDevice().api.beginAddPasskey()
			eve.requireOK(refused)
			recovers := onApp(l.onNewDevice(zoe))
			grant, refused := recovers.apiDevice().api.redeem(recoveryProof{backupCode: codes[0]})
			recovers.requireOK(refused)
			recovering, refused := recovers.apiDevice().api.beginRecovery(grant)
			recovers.requireOK(refused)

			newKey := newcomer.apiDevice().makeCredential(signingUp)
			adas, bens := ada.apiDevice().getAssertion(signingIn), ben.apiDevice().getAssertion(steppingUp)
			eves := onApp(l.person("Eve", phone)).apiDevice().makeCredential(adding) // her other device
			zoes := recovers.apiDevice().makeCredential(recovering)
			finish := map[domain.Purpose]func() rejection{
				domain.PurposeSignUp: func() rejection {
					return onlyRejection(newcomer.apiDevice().api.finishSignUp(signingUp.challengeID, newKey))
				},
				domain.PurposeLogin:      func() rejection { return onlyRejection(ada.apiDevice().api.finishSignIn(signingIn.challengeID, adas)) },
				domain.PurposeStepUp:     func() rejection { return ben.apiDevice().api.finishStepUp(steppingUp.challengeID, bens) },
				domain.PurposeAddPasskey: func() rejection { return eve.apiDevice().api.finishAddPasskey(adding.challengeID, "", eves) },
				domain.PurposeRecovery: func() rejection {
					return onlyRejection(recovers.apiDevice().api.finishRecovery(grant, recovering.challengeID, zoes))
				},
			}
			if c.change != nil {
				c.change(t, l)
			}
			people := []*person{ada, ben, eve, newcomer, recovers}
			after, _ := start(c.adjust)
			reconnectTo(after, people...)
			for purpose, answer := range finish {
				if got := answer(); got.code != c.want[purpose] {
					t.Errorf("%s: refused with %+v, want %q", purpose, got, c.want[purpose])
				}
			}
			// A refused answer spent the challenge: what was closed meanwhile may be open again.
			reconnectTo(before, people...)
			for purpose, answer := range finish {
				if c.want[purpose] == "" {
					continue
				}
				want := "challenge_not_found"
				if c.want[purpose] == "session_revoked" {
					want = "session_revoked"
				}
				if got := answer(); got.code != want {
					t.Errorf("%s: the same answer again: %+v, want %q", purpose, got, want)
				}
			}
		})
	}
}
