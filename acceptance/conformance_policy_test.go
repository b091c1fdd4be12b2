package acceptance

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

func attestedBy(b *authenticator.Batch, model [16]byte) []authenticator.Option {
	return append(slices.Clone(ofES256), authenticator.WithAAGUID(model), authenticator.Attested(b))
}

func metadataOf(t testing.TB, models ...authenticator.Model) *webauthn.Metadata {
	t.Helper()
	service, err := authenticator.NewMetadataService()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := service.BLOB(time.Now().AddDate(0, 1, 0), models...)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := webauthn.ReadMetadata(blob, service.Root(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return metadata
}

// unwelcome is a registration by a device that the policy does not admit; its twin is one by a welcome device.
func unwelcome(name string, device, welcome []authenticator.Option) wrongAnswer {
	return wrongAnswer{step: "policy", name: name, device: welcome, instead: device, reason: domain.ReasonAttestationRejected}
}

func model(n byte) [16]byte { return [16]byte{0x4b, 15: n} }

// broken are the reports that no model outlives.
var broken = []string{"REVOKED", "ATTESTATION_KEY_COMPROMISE", "USER_VERIFICATION_BYPASS", "USER_KEY_REMOTE_COMPROMISE", "USER_KEY_PHYSICAL_COMPROMISE"}

// attestedOnly is what a policy that wants attestation refuses, the policy, and the models that its metadata know.
func attestedOnly(t *testing.T) ([]wrongAnswer, domain.AuthenticatorPolicy, []authenticator.Model) {
	t.Helper()
	maker, stranger := makerOf(t, "Lodge Keys"), makerOf(t, "Lodge Keys")
	welcome := attestedBy(batchOf(t, maker, model(1), nil), model(1))
	models := []authenticator.Model{
		{AAGUID: model(1), Makers: []*authenticator.Maker{makerOf(t, "Another"), maker}},
		{AAGUID: model(2), Makers: []*authenticator.Maker{maker}},
		{AAGUID: model(3), Makers: []*authenticator.Maker{maker}, Types: []string{"basic_surrogate"}},
		{AAGUID: model(4)},
		{AAGUID: model(5), Makers: []*authenticator.Maker{maker}},
	}
	table := []wrongAnswer{
		unwelcome("no attestation", slices.Concat(ofES256, []authenticator.Option{authenticator.WithAAGUID(model(1))}), welcome),
		unwelcome("no attestation and no model", ofES256, welcome),
		unwelcome("self attestation", slices.Concat(ofES256, []authenticator.Option{authenticator.WithAAGUID(model(1)), authenticator.SelfAttested()}), welcome),
		unwelcome("self attestation of a model that makes no other", slices.Concat(ofES256, []authenticator.Option{authenticator.WithAAGUID(model(3)), authenticator.SelfAttested()}), welcome),
		unwelcome("certificates of a model that makes none", attestedBy(batchOf(t, maker, model(3), nil), model(3)), welcome),
		unwelcome("another maker of the same name", attestedBy(batchOf(t, stranger, model(1), nil), model(1)), welcome),
		unwelcome("another maker, with the true one's certificate behind", attestedBy(batchOf(t, stranger, model(1), nil).WithChain(func(own [][]byte) [][]byte {
			return [][]byte{own[0], maker.Root().Raw}
		}), model(1)), welcome),
		unwelcome("a model that the metadata do not know", attestedBy(batchOf(t, maker, model(9), nil), model(9)), welcome),
		unwelcome("a model without a maker in the metadata", attestedBy(batchOf(t, maker, model(4), nil), model(4)), welcome),
		unwelcome("a model that is allowed by no list", attestedBy(batchOf(t, maker, model(2), nil), model(2)), welcome),
		unwelcome("a model that is denied", attestedBy(batchOf(t, maker, model(5), nil), model(5)), welcome),
		unwelcome("certificates of no model", attestedBy(batchOf(t, maker, [16]byte{}, nil), [16]byte{}), welcome),
		unwelcome("fido-u2f", []authenticator.Option{authenticator.AttestedU2F(batchOf(t, maker, [16]byte{}, nil))}, welcome),
	}
	allowed := []domain.AAGUID{model(1), model(3), model(4), model(5), model(9)}
	for i, status := range broken {
		id := model(byte(16 + i))
		allowed = append(allowed, id)
		models = append(models, authenticator.Model{AAGUID: id, Makers: []*authenticator.Maker{maker}, Statuses: []string{"FIDO_CERTIFIED_L1", status}})
		table = append(table, unwelcome(status, attestedBy(batchOf(t, maker, id, nil), id), welcome))
	}
	return table, domain.AuthenticatorPolicy{Attested: true, Allowed: allowed, Denied: []domain.AAGUID{model(5)}}, models
}

func TestAttestedAuthenticatorsOnly(t *testing.T) {
	table, policy, models := attestedOnly(t)
	welcome := table[0].device
	e := examinedServers()["SQLite"](t, func(c *bootstrap.Config) {
		c.Authenticators, c.Metadata = policy, metadataOf(t, models...)
	})
	for _, w := range table {
		t.Run(w.name, func(t *testing.T) { e.judges(t, w, e.registration(t, w)) })
	}
	for _, told := range append([]string{
		"is denied", "is not among those allowed", "which nobody vouches for", "AAGUID " + domain.AAGUID(model(1)).String(), "no registered metadata", "signed by unknown authority",
	}, broken...) {
		if !strings.Contains(e.log.text(), told) {
			t.Errorf("the log does not tell %q", told)
		}
	}
	t.Run("a forged statement is told as any", func(t *testing.T) {
		w := rejected("policy", "a bad signature", welcome, authenticator.ForgeSignature(flipLastBit))
		e.judges(t, w, e.registration(t, w))
	})
	t.Run("the caller hears what helps", func(t *testing.T) {
		for _, c := range []struct {
			device []authenticator.Option
			forge  authenticator.Variation
			helped bool
		}{{ofES256, nil, true}, {welcome, authenticator.ForgeSignature(flipLastBit), false}} {
			under := e.registration(t, wrongAnswer{device: c.device})
			begun := under.begin()
			var forge []authenticator.Variation
			if c.forge != nil {
				forge = append(forge, c.forge)
			}
			body := encode(t, map[string]any{"challenge_id": begun.challengeID, "credential": under.answer(begun, forge...)})
			// Not from the browser that began: the binding is the cookie's, so it is sent along.
			var cookies []string
			for _, cookie := range under.connection.http.Jar.Cookies(under.connection.address()) {
				cookies = append(cookies, cookie.String())
			}
			p := e.send(t, http.MethodPost, "/v1/signup/verify", string(body), "Cookie", strings.Join(cookies, "; ")).problem(t)
			if p.Code != "passkey_rejected" || p.Title != domain.ErrPasskeyRejected.Message || strings.Contains(p.Detail, "not accepted here") != c.helped {
				t.Errorf("helped %t: %+v", c.helped, p)
			}
		}
	})
}

func TestListsOfAuthenticatorsWithoutAttestation(t *testing.T) {
	named := func(id [16]byte) []authenticator.Option {
		return slices.Concat(ofES256, []authenticator.Option{authenticator.WithAAGUID(id)})
	}
	for name, c := range map[string]struct {
		policy domain.AuthenticatorPolicy
		table  []wrongAnswer
	}{
		"allowed": {domain.AuthenticatorPolicy{Allowed: []domain.AAGUID{model(1)}}, []wrongAnswer{
			unwelcome("another model", named(model(2)), named(model(1))),
			unwelcome("no model", ofES256, named(model(1))),
		}},
		"denied": {domain.AuthenticatorPolicy{Denied: []domain.AAGUID{model(1)}}, []wrongAnswer{
			unwelcome("a denied model", named(model(1)), named(model(2))),
			unwelcome("a denied model, self-attested", append(named(model(1)), authenticator.SelfAttested()), ofES256),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := examinedServers()["SQLite"](t, func(config *bootstrap.Config) { config.Authenticators = c.policy })
			for _, w := range c.table {
				t.Run(w.name, func(t *testing.T) { e.judges(t, w, e.registration(t, w)) })
			}
		})
	}
}

// callsItself is a passkey whose authenticator gives itself out as another model.
func callsItself(id [16]byte) trick {
	return trick{forge: authenticator.ForgeAuthenticatorData(func(data []byte) []byte {
		copy(data[37:53], id[:])
		return data
	})}
}

func deniesAModel(c *bootstrap.Config) {
	c.Authenticators = domain.AuthenticatorPolicy{Denied: []domain.AAGUID{model(1)}}
}

// anUnwelcomeAuthenticator is refused whichever way its passkey would join.
func anUnwelcomeAuthenticator(l *lodge) {
	denied := callsItself(model(1))
	ada := l.person("Ada", phone)
	ada.isRefusedSignUp("passkey_rejected", domain.ReasonAttestationRejected, denied)
	ada.signsUp()

	ada.device.takes(securityKey)
	ada.mayNot(ada.device.addPasskey("Blue key", denied), "passkey_rejected")
	ada.seesEvents(shownEvent{"passkey_add_refused", "attestation_rejected"}, shownEvent{kind: "signed_up"})
	ada.may(ada.device.addPasskey("Blue key"))

	codes, refused := ada.device.makeBackupCodes()
	ada.may(refused)
	ada.signsOut()
	ada.device.takes(phone)
	_, refused = ada.device.recover(claim{backupCode: codes[0]}, denied)
	ada.mustBeRefused(refused, "passkey_rejected", domain.ReasonAttestationRejected)
	who, refused := ada.device.recover(claim{backupCode: codes[0]})
	ada.mustBe(who, refused)
}

// A policy is for those who come; who is there stays.
func TestAPolicyKeepsNobodyOutWhoIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	var device *authenticator.Authenticator
	var secret *masterkey.Key
	maker := makerOf(t, "Lodge Keys")
	t.Run("before", func(t *testing.T) {
		s := startServer(t, newClock(), func(c *bootstrap.Config) { c.Database, secret = bootstrap.SQLite(path), c.Secret })
		device = authenticator.New(s.origin)
		connection := s.connect(t)
		begun, _ := connection.beginSignUp(applicant{name: "Ada"})
		made, err := device.Create(begun.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, refused := connection.finishSignUp(begun.challengeID, made); refused != (refusal{}) {
			t.Fatalf("%+v", refused)
		}
	})
	s := startServer(t, newClock(), func(c *bootstrap.Config) {
		c.Database, c.Secret = bootstrap.SQLite(path), secret
		c.Authenticators = domain.AuthenticatorPolicy{Attested: true, Allowed: []domain.AAGUID{model(1)}, Denied: []domain.AAGUID{{}}}
		c.Metadata = metadataOf(t, authenticator.Model{AAGUID: model(1), Makers: []*authenticator.Maker{maker}})
	})
	connection := s.connect(t)
	begun, _ := connection.beginSignIn("")
	answer, err := device.Get(begun.options, authenticator.ForgeOrigin(s.origin))
	if err != nil {
		t.Fatal(err)
	}
	if who, refused := connection.finishSignIn(begun.challengeID, answer); refused != (refusal{}) || who.name != "Ada" {
		t.Errorf("%+v, %+v", who, refused)
	}
	begun, refused := connection.beginAddPasskey()
	if refused != (refusal{}) || !bytes.Contains(begun.options, []byte(`"attestation":"direct"`)) {
		t.Fatalf("%+v %s", refused, begun.options)
	}
	made, err := authenticator.New(s.origin).Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	if refused := connection.finishAddPasskey(begun.challengeID, "", made); refused != (refusal{"passkey_rejected", domain.ReasonAttestationRejected}) {
		t.Errorf("another of the same kind: %+v", refused)
	}
}

// Every algorithm that is offered, with every attestation that is judged, whatever was asked for.
func TestEveryAlgorithmAndAttestationSignsUpAndIn(t *testing.T) {
	s := startServer(t, newClock(), nil)
	maker := makerOf(t, "Lodge Keys")
	by := func(algorithm authenticator.Algorithm, id [16]byte, change func(*x509.Certificate)) *authenticator.Batch {
		batch, err := maker.Batch(id, algorithm, change)
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	attestations := map[string][]authenticator.Option{
		"none":                     nil,
		"packed self":              {authenticator.SelfAttested()},
		"packed full by ES256":     {authenticator.WithAAGUID(lodgeKey), authenticator.Attested(by(authenticator.ES256, lodgeKey, nil))},
		"packed full by RS256":     {authenticator.WithAAGUID(lodgeKey), authenticator.Attested(by(authenticator.RS256, lodgeKey, nil))},
		"packed full by EdDSA":     {authenticator.WithAAGUID(lodgeKey), authenticator.Attested(by(authenticator.EdDSA, lodgeKey, nil))},
		"packed full, whole chain": {authenticator.Attested(by(authenticator.ES256, [16]byte{}, nil).WithChain(func(own [][]byte) [][]byte { return [][]byte{own[0], maker.Root().Raw} }))},
	}
	kinds := map[string][]authenticator.Option{"fido-u2f": {authenticator.AttestedU2F(by(authenticator.ES256, [16]byte{}, nil))}}
	for algorithm, of := range map[string]authenticator.Algorithm{"ES256": authenticator.ES256, "RS256": authenticator.RS256, "EdDSA": authenticator.EdDSA} {
		for attestation, options := range attestations {
			kinds[algorithm+", "+attestation] = slices.Concat([]authenticator.Option{authenticator.WithAlgorithms(of), authenticator.DeviceBound()}, options)
		}
	}
	for name, options := range kinds {
		t.Run(name, func(t *testing.T) {
			device, connection := authenticator.New(s.origin, options...), s.connect(t)
			begun, _ := connection.beginSignUp(applicant{})
			if !bytes.Contains(begun.options, []byte(`"attestation":"none"`)) {
				t.Errorf("options %s", begun.options)
			}
			made, err := device.Create(begun.options)
			if err != nil {
				t.Fatal(err)
			}
			if _, refused := connection.finishSignUp(begun.challengeID, made); refused != (refusal{}) {
				t.Fatalf("%+v: %s", refused, s.log.text())
			}
			begun, _ = connection.beginSignIn("")
			answer, err := device.Get(begun.options)
			if err != nil {
				t.Fatal(err)
			}
			if _, refused := connection.finishSignIn(begun.challengeID, answer); refused != (refusal{}) {
				t.Errorf("%+v", refused)
			}
		})
	}
}
