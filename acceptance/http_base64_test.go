package acceptance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// base64Variants are the encodings besides unpadded base64url that some password managers use.
var base64Variants = map[string]func(string) string{
	"padded":                   padded,
	"standard alphabet":        toStandardAlphabet,
	"standard alphabet padded": func(b64 string) string { return padded(toStandardAlphabet(b64)) },
}

func padded(b64 string) string { return b64 + strings.Repeat("=", (4-len(b64)%4)%4) }

func toStandardAlphabet(b64 string) string {
	return strings.NewReplacer("-", "+", "_", "/").Replace(b64)
}

// TestBase64_EveryBinaryMember encodes one member of a response at a time, and all members together.
func TestBase64_EveryBinaryMember(t *testing.T) {
	t.Parallel()
	shared := []string{"id", "rawId", "response.clientDataJSON"}
	ceremonies := map[string][]string{
		"registration":   append(slices.Clone(shared), "response.attestationObject"),
		"authentication": append(slices.Clone(shared), "response.authenticatorData", "response.signature", "response.userHandle"),
	}
	s := inspectedServers()["SQLite"](t, nil)
	for ceremony, members := range ceremonies {
		for spelling, spell := range base64Variants {
			for _, member := range append(slices.Clone(members), "all") {
				t.Run(ceremony+", "+member+", "+spelling, func(t *testing.T) {
					spelled := members
					if member != "all" {
						spelled = []string{member}
					}
					// It is random whether base64 needs padding, or has a character in which the alphabets differ.
					changed := false
					for try := 0; try < 100 && !changed && !t.Failed(); try++ {
						t.Run(strconv.Itoa(try), func(t *testing.T) { changed = s.acceptsEncoding(t, ceremony, spelled, spell) })
					}
					if !changed {
						t.Errorf("in 100 tries the encoding of %q was never different", spelled)
					}
				})
			}
		}
	}
}

// acceptsEncoding sends a response with the given encoding of its members, and reports whether any member differs by it. It
// fails the test if the response is rejected.
func (s *inspectedServer) acceptsEncoding(t *testing.T, ceremony string, members []string, spell func(string) string) (changed bool) {
	t.Helper()
	start := s.registration
	if ceremony == "authentication" {
		start = s.authentication
	}
	c := start(t, invalidCase{device: es256Only})
	begun := c.begin()
	credential := toJSON(t, c.response(begun, withPadding(random(1)[0])))
	for _, member := range members {
		object, name := parentOf(credential, member)
		plain := object[name].(string)
		object[name] = spell(plain)
		changed = changed || object[name] != plain
	}
	if got := c.send(begun, credential); got != (rejection{}) {
		t.Errorf("rejected: %+v; the log: %s", got, s.log.lastLine())
	}
	return changed
}

// withPadding adds spaces to the client data, by modulo 3, and a member whose base64 can have the characters in which the
// alphabets differ.
func withPadding(by byte) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		return slices.Concat([]byte(strings.Repeat(" ", int(by%3))), honest[:1], []byte(`"a":"???>>>~~~",`), honest[1:])
	})
}

func TestBase64_PasskeyIDInPath(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	api := s.newAPI(t)
	begun := api.beginSignUp(profile{name: "Ada"}).must(t)
	id := []byte{0xfb, 0xff, 0xbf, 0xfe} // -_-__g
	credential, err := authenticator.New(s.origin).Create(begun.options, authenticator.ForgeCredentialID(id))
	if err != nil {
		t.Fatal(err)
	}
	api.finishSignUp(begun.challengeID, credential).must(t)
	plain := authenticator.Base64URL(id).String()
	paths := map[string]string{"unescaped": plain, "every character escaped": "%2D%5F%2D%5F%5F%67"}
	for spelling, spell := range base64Variants {
		paths[spelling] = strings.ReplaceAll(spell(plain), "/", "%2F")
		paths[spelling+", escaped"] = url.QueryEscape(spell(plain))
	}
	for name, path := range paths {
		var renamed struct {
			Passkey struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"passkey"`
		}
		rejected := api.call(http.MethodPatch, "/v1/me/passkeys/"+path, map[string]string{"name": name}, &renamed)
		if rejected != (rejection{}) || renamed.Passkey.ID != plain || renamed.Passkey.Name != name {
			t.Errorf("%s: %s: %+v, %+v", name, path, rejected, renamed)
		}
	}
	for name, path := range map[string]string{"another": "AAAA", "a character of no alphabet": plain + "*", "a space": plain + "%20", "a line break": plain + "%0A", "padding alone": "=", "another id after it": plain + "%2FAAAA"} {
		body, err := json.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		if rejected := api.call(http.MethodPatch, "/v1/me/passkeys/"+path, json.RawMessage(body), nil); rejected.code != "not_found" {
			t.Errorf("%s: %s: %+v", name, path, rejected)
		}
	}
}
