package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// shape is an answer that is out of shape before anything in it is looked at. Its caller hears which member it is.
func shape(step, name string, change edit) wrongAnswer {
	return wrongAnswer{step: step, name: name, edit: change, code: "invalid_request", reason: domain.ReasonMalformed}
}

// credentialShapes are those of PublicKeyCredential's JSON, the same for both ceremonies.
func credentialShapes() []wrongAnswer {
	const step = "Resp-1"
	return []wrongAnswer{
		shape(step, "no id", drop("id")),
		shape(step, "id a number", set("id", 7)),
		shape(step, "id a list", set("id", []string{"AA"})),
		shape(step, "id null", set("id", nil)),
		shape(step, "id empty", set("id", "")),
		shape(step, "id not base64url", set("id", "a*b")),
		shape(step, "id not that of rawId", set("id", "AAAA")),
		shape(step, "rawId a number", set("rawId", 7)),
		shape(step, "rawId empty", set("rawId", "")),
		shape(step, "rawId not base64url", set("rawId", "a*b")),
		shape(step, "rawId not that of id", set("rawId", "AAAA")),
		shape(step, "no type", drop("type")),
		shape(step, "type a number", set("type", 7)),
		shape(step, "type null", set("type", nil)),
		shape(step, "type empty", set("type", "")),
		shape(step, "type another", set("type", "public-keys")),
		shape(step, "type in capitals", set("type", "Public-Key")),
		shape(step, "no response", drop("response")),
		shape(step, "response a text", set("response", "AA")),
		shape(step, "response a list", set("response", []any{})),
		shape(step, "response null", set("response", nil)),
		shape(step, "response empty", set("response", map[string]any{})),
		shape(step, "clientExtensionResults a text", set("clientExtensionResults", "x")),
		shape(step, "clientExtensionResults a list", set("clientExtensionResults", []any{})),
		shape(step, "authenticatorAttachment a number", set("authenticatorAttachment", 7)),
		shape(step, "nothing at all", func(answer, _ map[string]any) { clear(answer) }),

		shape("Resp-2", "no clientDataJSON", drop("response.clientDataJSON")),
		shape("Resp-2", "clientDataJSON a number", set("response.clientDataJSON", 7)),
		shape("Resp-2", "clientDataJSON an object", set("response.clientDataJSON", map[string]any{"type": "webauthn.create"})),
		shape("Resp-2", "clientDataJSON null", set("response.clientDataJSON", nil)),
		shape("Resp-2", "clientDataJSON empty", set("response.clientDataJSON", "")),
		shape("Resp-2", "clientDataJSON not base64url", set("response.clientDataJSON", "a*b")),

		{step: "RFC 8259", name: "a body cut short", code: "invalid_request", unread: func(body []byte) []byte { return body[:len(body)-1] }},
		{step: "RFC 8259", name: "bytes behind the body", code: "invalid_request", unread: func(body []byte) []byte { return append(body, '}') }},
		{step: "RFC 8259", name: "a member twice", code: "invalid_request", unread: func(body []byte) []byte { return append([]byte(`{"challenge_id":"",`), body[1:]...) }},
		{step: "RFC 8259", name: "a member of the answer twice", code: "invalid_request", unread: func(body []byte) []byte {
			return bytes.Replace(body, []byte(`"type":`), []byte(`"type":"public-key","type":`), 1)
		}},
		{step: "RFC 8259", name: "invalid UTF-8", code: "invalid_request", unread: func(body []byte) []byte { return append([]byte("{\"x\":\"\xff\","), body[1:]...) }},
	}
}

func registrationShapes() []wrongAnswer {
	const step = "Resp-3"
	return append(credentialShapes(),
		shape(step, "no attestationObject", drop("response.attestationObject")),
		shape(step, "attestationObject a number", set("response.attestationObject", 7)),
		shape(step, "attestationObject an object", set("response.attestationObject", map[string]any{"fmt": "none"})),
		shape(step, "attestationObject null", set("response.attestationObject", nil)),
		shape(step, "attestationObject empty", set("response.attestationObject", "")),
		shape(step, "attestationObject not base64url", set("response.attestationObject", "a*b")),
		shape(step, "transports a text", set("response.transports", "usb")),
		shape(step, "transports of numbers", set("response.transports", []int{1})),
	)
}

func authenticationShapes() []wrongAnswer {
	shapes := credentialShapes()
	for _, member := range []string{"authenticatorData", "signature"} {
		path := "response." + member
		shapes = append(shapes,
			shape("Resp-3", "no "+member, drop(path)),
			shape("Resp-3", member+" a number", set(path, 7)),
			shape("Resp-3", member+" an object", set(path, map[string]any{})),
			shape("Resp-3", member+" null", set(path, nil)),
			shape("Resp-3", member+" empty", set(path, "")),
			shape("Resp-3", member+" not base64url", set(path, "a*b")),
		)
	}
	return append(shapes,
		shape("Resp-1", "userHandle a number", set("response.userHandle", 7)),
		shape("Resp-1", "userHandle a list", set("response.userHandle", []int{1})),
		shape("Resp-1", "userHandle not base64url", set("response.userHandle", "a*b")),
	)
}

// clientDataOf are the steps about CollectedClientData. adapters/webauthn has more of them, in
// clientdata_test.go.
// clientDataSteps numbers the steps about client data, which are the same in both ceremonies and begin at another number.
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

// repeatOrigin adds a member with the origin's value.
func repeatOrigin(name string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		var said struct {
			Origin string `json:"origin"`
		}
		if err := json.Unmarshal(honest, &said); err != nil {
			panic(err)
		}
		return append(bytes.TrimSuffix(honest, []byte("}")), fmt.Sprintf(",%q:%q}", name, said.Origin)...)
	})
}

func clientDataOf(ceremony, other string) []wrongAnswer {
	data := func(step, name string, reason domain.Reason, forge authenticator.Variation) wrongAnswer {
		return wrongAnswer{step: step, name: name, forge: []authenticator.Variation{forge}, reason: reason}
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
	return []wrongAnswer{
		data(utf8, "invalid UTF-8", malformed, replace("{", "{\"a\":\"\xff\",")),
		data(utf8, "a second byte order mark", malformed, replace("{", "\ufeff\ufeff{")),
		data(parsed, "no JSON", malformed, instead("hello")),
		data(parsed, "a list", malformed, instead("[]")),
		data(parsed, "null", malformed, instead("null")),
		data(parsed, "an empty object", malformed, instead("{}")),
		data(parsed, "bytes behind the object", malformed, replace(`}`, `}{}`)),
		data(parsed, "a member twice", malformed, replace("{", `{"origin":"https://evil.example",`)),
		data(typed, "that of the other ceremony", domain.ReasonTypeMismatch, authenticator.ForgeType(other)),
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
		data(cross, "a text", malformed, replace("false", `"false"`)),
		data(top, "another", domain.ReasonCrossOrigin, authenticator.ForgeCrossOrigin("https://evil.example")),
		data(top, "empty", domain.ReasonCrossOrigin, replace(`"crossOrigin":false`, `"crossOrigin":false,"topOrigin":""`)),
		data(top, "that of the page, crossOrigin not set", domain.ReasonCrossOrigin, repeatOrigin("topOrigin")),
		data(top, "alone", domain.ReasonCrossOrigin, replace(`"crossOrigin":false`, `"topOrigin":"https://evil.example"`)),
	}
}
