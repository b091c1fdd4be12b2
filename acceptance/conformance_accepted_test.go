package acceptance

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// unusualResponse is a response that is accepted, although no current client sends it.
type unusualResponse struct {
	step, name string

	forge []authenticator.Variation
	edit  edit
}

func unusualClientData(ceremony string) []unusualResponse {
	step := clientDataSteps(ceremony)
	with := func(step, name, members string) unusualResponse {
		return unusualResponse{step: step, name: name, forge: []authenticator.Variation{authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
			return bytes.Replace(honest, []byte(`"crossOrigin":false`), []byte(members), 1)
		})}}
	}
	const tokenBinding = "§5.8.1 (tokenBinding)"
	return []unusualResponse{
		{step: step("JSONtext"), name: "a byte order mark", forge: []authenticator.Variation{authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
			return append([]byte("\ufeff"), honest...)
		})}},
		with(step("C"), "unknown members", `"crossOrigin":false,"androidPackageName":"com.android.chrome","other_keys_can_be_added_here":"…"`),
		with(step("C.crossOrigin"), "missing", `"a":1`),
		with(step("C.crossOrigin"), "null", `"crossOrigin":null`),
		with(step("C.topOrigin"), "null", `"crossOrigin":false,"topOrigin":null`),
		with(tokenBinding, "a string", `"tokenBinding":"unused"`),
		with(tokenBinding, "null", `"tokenBinding":null`),
		with(tokenBinding, "a number", `"tokenBinding":7`),
		with(tokenBinding, "without a status", `"tokenBinding":{}`),
		with(tokenBinding, "with an unknown status", `"tokenBinding":{"status":"other"}`),
		with(tokenBinding, "not supported", `"tokenBinding":{"status":"not-supported"}`),
	}
}

// unusualExtensionOutputs returns responses with client extension outputs that were not requested, or that have a wrong type.
func unusualExtensionOutputs(step string) []unusualResponse {
	outputs := func(name string, results any) unusualResponse {
		return unusualResponse{step: step, name: name, edit: set("clientExtensionResults", results)}
	}
	return []unusualResponse{
		{step: step, name: "no clientExtensionResults", edit: drop("clientExtensionResults")},
		outputs("clientExtensionResults null", nil),
		outputs("credProps.rk false", map[string]any{"credProps": map[string]any{"rk": false}}),
		outputs("credProps.rk a string", map[string]any{"credProps": map[string]any{"rk": "true"}}),
		outputs("credProps true", map[string]any{"credProps": true}),
		outputs("credProps null", map[string]any{"credProps": nil}),
		outputs("credProps an array", map[string]any{"credProps": []any{}}),
		outputs("appid true", map[string]any{"appid": true}),
		outputs("appid a string, appidExclude true", map[string]any{"appid": "https://example.org", "appidExclude": true}),
		outputs("many extensions", map[string]any{
			"prf": map[string]any{"enabled": true, "results": map[string]any{"first": map[string]any{}}}, "hmacCreateSecret": true,
			"largeBlob": map[string]any{"supported": false}, "uvm": [][]int{{2, 4, 2}}, "minPinLength": 4,
		}),
		{step: step, name: "credProtect from the authenticator", forge: []authenticator.Variation{withExtensionData(extensionData, []byte("\xa1\x6bcredProtect\x02")...)}},
		{step: step, name: "an unknown extension from the authenticator", forge: []authenticator.Variation{withExtensionData(extensionData, []byte("\xa1\x63foo\xa1\x01\x02")...)}},
	}
}

func unusualRegistrations() []unusualResponse {
	return slices.Concat(unusualClientData("webauthn.create"), unusualExtensionOutputs("§7.1 step 28 (extension outputs)"))
}

func unusualAuthentications() []unusualResponse {
	return slices.Concat(unusualClientData("webauthn.get"), unusualExtensionOutputs("§7.2 step 23 (extension outputs)"), []unusualResponse{
		{step: "§6.1", name: "AT set, with the passkey's attested data", forge: []authenticator.Variation{authenticator.IncludeAttestedData()}},
		{step: "§6.1", name: "AT and ED set, with the passkey's attested data", forge: []authenticator.Variation{authenticator.IncludeAttestedData(), withExtensionData(extensionData, 0xa0)}},
	})
}

func TestConformance_UnusualResponsesAccepted(t *testing.T) {
	for store, open := range inspectedServers() {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			for ceremony, table := range map[string][]unusualResponse{"registration": unusualRegistrations(), "authentication": unusualAuthentications()} {
				start := s.registration
				if ceremony == "authentication" {
					start = s.authentication
				}
				for _, unusual := range table {
					t.Run(ceremony+", "+unusual.step+": "+unusual.name, func(t *testing.T) {
						c := start(t, invalidCase{device: es256Only})
						begun := c.begin()
						credential := toJSON(t, c.response(begun, unusual.forge...))
						if unusual.edit != nil {
							unusual.edit(credential, nil)
						}
						if got := c.send(begun, credential); got != (rejection{}) {
							t.Errorf("rejected: %+v; the log: %s", got, s.log.lastLine())
						}
					})
				}
			}
		})
	}
}

// Attested credential data at a sign-in increase a metric, and record no event in the owner's audit log.
func TestConformance_AttestedDataAtSignInCounted(t *testing.T) {
	t.Parallel()
	s := inspectedServers()["SQLite"](t, nil)
	c := s.authentication(t, invalidCase{device: es256Only})
	const counter = `keylodge_passkey_anomalies_total{anomaly="attested_again"} `
	for i, want := range []string{"0", "1", "2"} {
		if !strings.Contains(s.metricsText(t), counter+want+"\n") {
			t.Errorf("after %d sign-ins with attested data the metric is not %s", i, want)
		}
		begun := c.begin()
		if got := c.send(begun, toJSON(t, c.response(begun, authenticator.IncludeAttestedData()))); got != (rejection{}) {
			t.Fatalf("rejected: %+v; the log: %s", got, s.log.lastLine())
		}
	}
	if !strings.Contains(s.log.text(), string(domain.AnomalyAttestedData)) {
		t.Error("the server's log does not have the anomaly")
	}
	if n := s.count(t, "SELECT count(*) FROM events WHERE kind = 'passkey_flagged'"); n != 0 {
		t.Errorf("%d events of kind passkey_flagged, want 0", n)
	}
}
