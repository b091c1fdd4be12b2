package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// malformedCase is a response with a malformed member, which the server reports to the client.
func malformedCase(step, name string, change edit) invalidCase {
	return invalidCase{step: step, name: name, edit: change, code: "invalid_request", reason: domain.ReasonMalformed}
}

// malformedCredentials returns the cases of PublicKeyCredential's JSON, the same for both ceremonies.
func malformedCredentials() []invalidCase {
	const step = "Resp-1"
	return []invalidCase{
		malformedCase(step, "no id", drop("id")),
		malformedCase(step, "id a number", set("id", 7)),
		malformedCase(step, "id an array", set("id", []string{"AA"})),
		malformedCase(step, "id null", set("id", nil)),
		malformedCase(step, "id empty", set("id", "")),
		malformedCase(step, "id not base64url", set("id", "a*b")),
		malformedCase(step, "id different from rawId", set("id", "AAAA")),
		malformedCase(step, "rawId a number", set("rawId", 7)),
		malformedCase(step, "rawId empty", set("rawId", "")),
		malformedCase(step, "rawId not base64url", set("rawId", "a*b")),
		malformedCase(step, "rawId different from id", set("rawId", "AAAA")),
		malformedCase(step, "no type", drop("type")),
		malformedCase(step, "type a number", set("type", 7)),
		malformedCase(step, "type null", set("type", nil)),
		malformedCase(step, "type empty", set("type", "")),
		malformedCase(step, "an unknown type", set("type", "public-keys")),
		malformedCase(step, "type in capitals", set("type", "Public-Key")),
		malformedCase(step, "no response", drop("response")),
		malformedCase(step, "response a string", set("response", "AA")),
		malformedCase(step, "response an array", set("response", []any{})),
		malformedCase(step, "response null", set("response", nil)),
		malformedCase(step, "response empty", set("response", map[string]any{})),
		malformedCase(step, "clientExtensionResults a string", set("clientExtensionResults", "x")),
		malformedCase(step, "clientExtensionResults an array", set("clientExtensionResults", []any{})),
		malformedCase(step, "authenticatorAttachment a number", set("authenticatorAttachment", 7)),
		malformedCase(step, "no members", func(credential, _ map[string]any) { clear(credential) }),

		malformedCase("Resp-2", "no clientDataJSON", drop("response.clientDataJSON")),
		malformedCase("Resp-2", "clientDataJSON a number", set("response.clientDataJSON", 7)),
		malformedCase("Resp-2", "clientDataJSON an object", set("response.clientDataJSON", map[string]any{"type": "webauthn.create"})),
		malformedCase("Resp-2", "clientDataJSON null", set("response.clientDataJSON", nil)),
		malformedCase("Resp-2", "clientDataJSON empty", set("response.clientDataJSON", "")),
		malformedCase("Resp-2", "clientDataJSON not base64url", set("response.clientDataJSON", "a*b")),

		{step: "RFC 8259", name: "a truncated body", code: "invalid_request", unreadable: func(body []byte) []byte { return body[:len(body)-1] }},
		{step: "RFC 8259", name: "bytes after the body", code: "invalid_request", unreadable: func(body []byte) []byte { return append(body, '}') }},
		{step: "RFC 8259", name: "a duplicate member", code: "invalid_request", unreadable: func(body []byte) []byte { return append([]byte(`{"challenge_id":"",`), body[1:]...) }},
		{step: "RFC 8259", name: "a duplicate member of the credential", code: "invalid_request", unreadable: func(body []byte) []byte {
			return bytes.Replace(body, []byte(`"type":`), []byte(`"type":"public-key","type":`), 1)
		}},
		{step: "RFC 8259", name: "invalid UTF-8", code: "invalid_request", unreadable: func(body []byte) []byte { return append([]byte("{\"x\":\"\xff\","), body[1:]...) }},
	}
}

func malformedRegistrations() []invalidCase {
	const step = "Resp-3"
	return append(malformedCredentials(),
		malformedCase(step, "no attestationObject", drop("response.attestationObject")),
		malformedCase(step, "attestationObject a number", set("response.attestationObject", 7)),
		malformedCase(step, "attestationObject an object", set("response.attestationObject", map[string]any{"fmt": "none"})),
		malformedCase(step, "attestationObject null", set("response.attestationObject", nil)),
		malformedCase(step, "attestationObject empty", set("response.attestationObject", "")),
		malformedCase(step, "attestationObject not base64url", set("response.attestationObject", "a*b")),
		malformedCase(step, "transports a string", set("response.transports", "usb")),
		malformedCase(step, "transports of numbers", set("response.transports", []int{1})),
	)
}

func malformedAuthentications() []invalidCase {
	shapes := malformedCredentials()
	for _, member := range []string{"authenticatorData", "signature"} {
		path := "response." + member
		shapes = append(shapes,
			malformedCase("Resp-3", "no "+member, drop(path)),
			malformedCase("Resp-3", member+" a number", set(path, 7)),
			malformedCase("Resp-3", member+" an object", set(path, map[string]any{})),
			malformedCase("Resp-3", member+" null", set(path, nil)),
			malformedCase("Resp-3", member+" empty", set(path, "")),
			malformedCase("Resp-3", member+" not base64url", set(path, "a*b")),
		)
	}
	return append(shapes,
		malformedCase("Resp-1", "userHandle a number", set("response.userHandle", 7)),
		malformedCase("Resp-1", "userHandle an array", set("response.userHandle", []int{1})),
		malformedCase("Resp-1", "userHandle not base64url", set("response.userHandle", "a*b")),
	)
}

// clientDataSteps returns the step with its number for a subject of the client data. The steps of both ceremonies are the
// same, but have different numbers.
func clientDataSteps(ceremony string) func(about string) string {
	section, first := "§7.1", 5
	if ceremony == "webauthn.get" {
		section, first = "§7.2", 8
	}
	order := []string{"JSONtext", "C", "C.type", "C.challenge", "C.origin", "C.crossOrigin", "C.topOrigin"}
	return func(about string) string {
		return fmt.Sprintf("%s step %d (%s)", section, first+slices.Index(order, about), about)
	}
}

// repeatOrigin adds a member with the value of origin.
func repeatOrigin(name string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		var clientData struct {
			Origin string `json:"origin"`
		}
		if err := json.Unmarshal(honest, &clientData); err != nil {
			panic(err)
		}
		return append(bytes.TrimSuffix(honest, []byte("}")), fmt.Sprintf(",%q:%q}", name, clientData.Origin)...)
	})
}

// invalidClientData returns the cases of CollectedClientData. adapters/webauthn/clientdata_test.go has more.
func invalidClientData(ceremony, other string) []invalidCase {
	data := func(step, name string, reason domain.Reason, forge authenticator.Variation) invalidCase {
		return invalidCase{step: step, name: name, forge: []authenticator.Variation{forge}, reason: reason}
	}
	replace := func(old, replacement string) authenticator.Variation {
		return authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
			if !bytes.Contains(honest, []byte(old)) {
				panic("no " + old + " in " + string(honest))
			}
			return bytes.Replace(honest, []byte(old), []byte(replacement), 1)
		})
	}
	instead := func(text string) authenticator.Variation {
		return authenticator.ForgeClientDataJSON(func([]byte) []byte { return []byte(text) })
	}
	const malformed = domain.ReasonMalformed
	step := clientDataSteps(ceremony)
	utf8, parsed, typed, challenge := step("JSONtext"), step("C"), step("C.type"), step("C.challenge")
	origin, cross, top := step("C.origin"), step("C.crossOrigin"), step("C.topOrigin")
	quoted := `"type":"` + ceremony + `"`
	return []invalidCase{
		data(utf8, "invalid UTF-8", malformed, replace("{", "{\"a\":\"\xff\",")),
		data(utf8, "a second byte order mark", malformed, replace("{", "\ufeff\ufeff{")),
		data(parsed, "not JSON", malformed, instead("hello")),
		data(parsed, "an array", malformed, instead("[]")),
		data(parsed, "null", malformed, instead("null")),
		data(parsed, "an empty object", malformed, instead("{}")),
		data(parsed, "bytes after the object", malformed, replace(`}`, `}{}`)),
		data(parsed, "a duplicate member", malformed, replace("{", `{"origin":"https://evil.example",`)),
		data(typed, "the other ceremony's", domain.ReasonTypeMismatch, authenticator.ForgeType(other)),
		data(typed, "in capitals", domain.ReasonTypeMismatch, authenticator.ForgeType(strings.ToUpper(ceremony))),
		data(typed, "empty", domain.ReasonTypeMismatch, authenticator.ForgeType("")),
		data(typed, "missing", malformed, replace(quoted+",", "")),
		data(typed, "a number", malformed, replace(quoted, `"type":7`)),
		data(typed, "null", malformed, replace(quoted, `"type":null`)),
		data(challenge, "another", domain.ReasonChallengeMismatch, authenticator.ForgeChallenge(make([]byte, 32))),
		data(challenge, "empty", domain.ReasonChallengeMismatch, authenticator.ForgeChallenge(nil)),
		data(challenge, "padded", domain.ReasonChallengeMismatch, replace(`","origin"`, `=","origin"`)),
		data(challenge, "missing", malformed, replace(`"challenge"`, `"x"`)),
		data(challenge, "a number", malformed, replace(`"challenge":`, `"challenge":0,"x":`)),
		data(challenge, "null", malformed, replace(`"challenge":`, `"challenge":null,"x":`)),
		data(origin, "another", domain.ReasonOriginNotAllowed, authenticator.ForgeOrigin("https://evil.example")),
		data(origin, "with a slash", domain.ReasonOriginNotAllowed, replace(`","crossOrigin"`, `/","crossOrigin"`)),
		data(origin, "empty", domain.ReasonOriginNotAllowed, authenticator.ForgeOrigin("")),
		data(origin, "missing", malformed, replace(`"origin"`, `"x"`)),
		data(origin, "a number", malformed, replace(`"origin":`, `"origin":0,"x":`)),
		data(origin, "null", malformed, replace(`"origin":`, `"origin":null,"x":`)),
		data(cross, "set", domain.ReasonCrossOrigin, authenticator.ForgeCrossOrigin("")),
		data(cross, "a string", malformed, replace("false", `"false"`)),
		data(top, "another", domain.ReasonCrossOrigin, authenticator.ForgeCrossOrigin("https://evil.example")),
		data(top, "empty", domain.ReasonCrossOrigin, replace(`"crossOrigin":false`, `"crossOrigin":false,"topOrigin":""`)),
		data(top, "the page's origin, crossOrigin not set", domain.ReasonCrossOrigin, repeatOrigin("topOrigin")),
		data(top, "without crossOrigin", domain.ReasonCrossOrigin, replace(`"crossOrigin":false`, `"topOrigin":"https://evil.example"`)),
	}
}
