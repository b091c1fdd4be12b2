package webauthn

import (
	"bytes"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// rule is a test of one rule: an answer that violates it, and a control, the most similar answer that does not. Without a variation the
// answer is unmodified.
type rule struct {
	name    string
	invalid authenticator.Variation
	reason  domain.Reason
	control authenticator.Variation
}

func unmodified() authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte { return data })
}

// replaceInClientData replaces the first occurrence of a text in the client data, and panics if there is none.
func replaceInClientData(old, replacement string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte {
		if !bytes.Contains(data, []byte(old)) {
			panic("no " + old + " in " + string(data))
		}
		return bytes.Replace(data, []byte(old), []byte(replacement), 1)
	})
}

// addMembers adds members at the end of the client data.
func addMembers(members string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte {
		return append(bytes.TrimSuffix(data, []byte("}")), ","+members+"}"...)
	})
}

func replaceClientData(data string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func([]byte) []byte { return []byte(data) })
}

// clientDataRules are rules of both ceremonies.
// Cases of: TestRegistrationRules, TestAuthenticationRules
func clientDataRules(ceremony, other protocol.CeremonyType) []rule {
	const (
		typ   = domain.ReasonTypeMismatch
		chal  = domain.ReasonChallengeMismatch
		orig  = domain.ReasonOriginNotAllowed
		cross = domain.ReasonCrossOrigin
		malf  = domain.ReasonMalformed
		evil  = `"https://evil.example"`
	)
	quoted := `"` + string(ceremony) + `"`
	return []rule{
		// Requirement: WebAuthn-7.1-7
		{"type of the other ceremony", authenticator.ForgeType(string(other)), typ, nil},
		// Requirement: WebAuthn-7.1-7
		{"type in upper case", authenticator.ForgeType(strings.ToUpper(string(ceremony))), typ, replaceInClientData(quoted, `"\u0077`+string(ceremony[1:])+`"`)},
		{"type with a suffix", authenticator.ForgeType(string(ceremony) + " "), typ, nil},
		{"type empty", authenticator.ForgeType(""), typ, nil},

		{"another challenge", authenticator.ForgeChallenge(make([]byte, 32)), chal, nil},
		{"challenge empty", authenticator.ForgeChallenge(nil), chal, nil},
		{"challenge padded", replaceInClientData(`","origin"`, `=","origin"`), chal, nil},

		{"another origin", authenticator.ForgeOrigin("https://evil.example"), orig, authenticator.ForgeOrigin(anotherOrigin)},
		// Requirement: WebAuthn-7.1-9
		{"origin of a subdomain", authenticator.ForgeOrigin("https://www.keylodge.example"), orig, authenticator.ForgeOrigin(appOrigin)},
		{"origin without TLS", authenticator.ForgeOrigin("http://keylodge.example"), orig, nil},
		// Requirement: WebAuthn-7.1-9
		{"origin on another port", authenticator.ForgeOrigin(origin + ":8443"), orig, nil},
		{"origin with the default port", authenticator.ForgeOrigin(origin + ":443"), orig, nil},
		{"origin with a slash", authenticator.ForgeOrigin(origin + "/"), orig, replaceInClientData("https://", `https:\/\/`)},
		{"origin with a path", authenticator.ForgeOrigin(origin + "/evil"), orig, nil},
		{"origin with a fragment", authenticator.ForgeOrigin(origin + "#evil"), orig, nil},
		{"origin with a user", authenticator.ForgeOrigin("https://evil@keylodge.example"), orig, nil},
		{"origin with host in upper case", authenticator.ForgeOrigin("https://Keylodge.Example"), orig, nil},
		{"origin with scheme in upper case", authenticator.ForgeOrigin("HTTPS://keylodge.example"), orig, nil},
		{"app origin in lower case", authenticator.ForgeOrigin(strings.ToLower(appOrigin)), orig, authenticator.ForgeOrigin(appOrigin)},
		{"origin null", authenticator.ForgeOrigin("null"), orig, nil},
		{"origin empty", authenticator.ForgeOrigin(""), orig, nil},

		// Requirement: WebAuthn-7.1-10
		{"cross-origin", authenticator.ForgeCrossOrigin(""), cross, replaceInClientData(`,"crossOrigin":false`, "")},
		{"cross-origin with topOrigin", authenticator.ForgeCrossOrigin("https://evil.example"), cross, nil},
		{"cross-origin with an allowed topOrigin", authenticator.ForgeCrossOrigin(origin), cross, nil},
		// Requirement: WebAuthn-7.1-10
		{"topOrigin without crossOrigin", addMembers(`"topOrigin":` + evil), cross, addMembers(`"topOrigins":` + evil)},
		// Requirement: WebAuthn-7.1-10
		{"allowed topOrigin", addMembers(`"topOrigin":"` + origin + `"`), cross, addMembers(`"topOrigin":null`)},
		{"topOrigin empty", addMembers(`"topOrigin":""`), cross, nil},
		{"topOrigin a list", addMembers(`"topOrigin":[]`), cross, nil},

		{"type twice", addMembers(`"type":` + quoted), malf, addMembers(`"new_keys_may_be_added_here":"do not compare clientDataJSON against a template"`)},
		{"type twice, the other one first", replaceInClientData("{", `{"type":"`+string(other)+`",`), malf, nil},
		{"challenge twice", replaceInClientData("{", `{"challenge":"AAAA",`), malf, nil},
		// Requirement: WebAuthn-7.1-9
		{"origin twice", replaceInClientData("{", `{"origin":`+evil+`,`), malf, nil},
		{"origin twice, once escaped", replaceInClientData("{", `{"\u006frigin":`+evil+`,`), malf, nil},
		{"crossOrigin twice", replaceInClientData("{", `{"crossOrigin":true,`), malf, nil},
		{"an unknown member twice", addMembers(`"a":1,"a":2`), malf, addMembers(`"a":1,"A":2`)},
		{"a member of a member twice", addMembers(`"a":{"b":1,"b":2}`), malf, addMembers(`"a":{"b":1,"c":2}`)},
		{"Type instead of type", replaceInClientData(`"type"`, `"Type"`), malf, nil},
		{"Type beside type", addMembers(`"Type":` + quoted), malf, nil},
		{"CHALLENGE beside challenge", replaceInClientData("{", `{"CHALLENGE":"AAAA",`), malf, nil},
		{"Origin beside origin", replaceInClientData("{", `{"Origin":`+evil+`,`), malf, nil},
		{"crossorigin beside crossOrigin", replaceInClientData("{", `{"crossorigin":true,`), malf, nil},
		{"crossOrigin with a long s", addMembers("\"cro\u017fsOrigin\":false"), malf, nil},
		{"TopOrigin", addMembers(`"TopOrigin":` + evil), malf, nil},

		{"type missing", replaceInClientData(`"type":`+quoted+`,`, ""), malf, nil},
		{"challenge missing", replaceInClientData(`"challenge"`, `"x"`), malf, nil},
		{"origin missing", replaceInClientData(`"origin"`, `"x"`), malf, nil},
		{"type null", replaceInClientData(quoted, "null"), malf, nil},
		{"type a list", replaceInClientData(quoted, "["+quoted+"]"), malf, nil},
		{"challenge a number", replaceInClientData(`"challenge":`, `"challenge":0,"x":`), malf, nil},
		{"origin a list", replaceInClientData(`"`+origin+`"`, `["`+origin+`"]`), malf, nil},
		{"crossOrigin a string", replaceInClientData("false", `"false"`), malf, nil},
		{"crossOrigin a number", replaceInClientData("false", `0`), malf, replaceInClientData("false", `null`)},
		{"tokenBinding twice", addMembers(`"tokenBinding":1,"tokenBinding":1`), malf, addMembers(`"tokenBinding":"unused"`)},
		{"tokenBinding with invalid UTF-8", addMembers("\"tokenBinding\":\"\xff\""), malf, addMembers(`"tokenBinding":{}`)},
		{"tokenBinding cut short", addMembers(`"tokenBinding":{`), malf, addMembers(`"tokenBinding":{"status":"other","id":7}`)},
		{"tokenBinding without a value", addMembers(`"tokenBinding":`), malf, addMembers(`"tokenBinding":null,"TokenBinding":[]`)},

		{"two byte order marks", replaceInClientData("{", "\ufeff\ufeff{"), malf, replaceInClientData("{", "\ufeff{")},
		{"a byte order mark in UTF-16", replaceInClientData("{", "\xfe\xff{"), malf, replaceInClientData("{", " \n{ ")},
		{"a byte order mark within", replaceInClientData("{", "{\ufeff"), malf, nil},
		{"invalid UTF-8 in an unknown member", addMembers("\"a\":\"\xff\""), malf, addMembers("\"a\":\"\u00ff\"")},
		{"invalid UTF-8 in a name", addMembers("\"\xff\":1"), malf, nil},
		{"an unpaired surrogate", addMembers(`"a":"\ud800"`), malf, addMembers(`"a":"\ud83d\ude00"`)},
		{"bytes after the object", authenticator.ForgeClientDataJSON(func(data []byte) []byte { return append(data, "{}"...) }), malf, nil},
		{"a NUL after the object", authenticator.ForgeClientDataJSON(func(data []byte) []byte { return append(data, 0) }), malf, nil},
		{"empty", replaceClientData(""), malf, nil},
		{"not JSON", replaceClientData("type=webauthn.create"), malf, nil},
		{"null", replaceClientData("null"), malf, nil},
		{"a list", replaceClientData("[]"), malf, nil},
		{"an empty object", replaceClientData("{}"), malf, nil},
		{"a comment", replaceInClientData("{", "{/**/"), malf, nil},
		{"very deep nesting", addMembers(`"a":` + strings.Repeat("[", 20_000)), malf, nil},
	}
}
