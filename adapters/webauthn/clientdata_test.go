package webauthn

import (
	"bytes"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// rule is a case for both sides of one rule: an answer that breaks it, and the nearest answer that does not. No
// variation means an honest answer.
type rule struct {
	name     string
	refused  authenticator.Variation
	reason   domain.Reason
	accepted authenticator.Variation
}

func honest() authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte { return data })
}

// rewrite replaces a piece of the serialized client data, which must be there.
func rewrite(old, replacement string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte {
		if !bytes.Contains(data, []byte(old)) {
			panic("no " + old + " in " + string(data))
		}
		return bytes.Replace(data, []byte(old), []byte(replacement), 1)
	})
}

// with adds members at the end of the client data.
func with(members string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func(data []byte) []byte {
		return append(bytes.TrimSuffix(data, []byte("}")), ","+members+"}"...)
	})
}

func instead(data string) authenticator.Variation {
	return authenticator.ForgeClientDataJSON(func([]byte) []byte { return []byte(data) })
}

// clientDataRules hold for both ceremonies.
func clientDataRules(ceremony, other protocol.CeremonyType) []rule {
	const (
		typ     = domain.ReasonTypeMismatch
		chal    = domain.ReasonChallengeMismatch
		orig    = domain.ReasonOriginNotAllowed
		cross   = domain.ReasonCrossOrigin
		malf    = domain.ReasonMalformed
		foreign = `"https://evil.example"`
	)
	quoted := `"` + string(ceremony) + `"`
	return []rule{
		{"type of the other ceremony", authenticator.ForgeType(string(other)), typ, nil},
		{"type in capitals", authenticator.ForgeType(strings.ToUpper(string(ceremony))), typ, rewrite(quoted, `"\u0077`+string(ceremony[1:])+`"`)},
		{"type with a suffix", authenticator.ForgeType(string(ceremony) + " "), typ, nil},
		{"type empty", authenticator.ForgeType(""), typ, nil},

		{"another challenge", authenticator.ForgeChallenge(make([]byte, 32)), chal, nil},
		{"challenge empty", authenticator.ForgeChallenge(nil), chal, nil},
		{"challenge padded", rewrite(`","origin"`, `=","origin"`), chal, nil},

		{"another origin", authenticator.ForgeOrigin("https://evil.example"), orig, authenticator.ForgeOrigin(anotherOrigin)},
		{"origin of a subdomain", authenticator.ForgeOrigin("https://www.keylodge.example"), orig, authenticator.ForgeOrigin(appOrigin)},
		{"origin without TLS", authenticator.ForgeOrigin("http://keylodge.example"), orig, nil},
		{"origin on another port", authenticator.ForgeOrigin(origin + ":8443"), orig, nil},
		{"origin with the default port", authenticator.ForgeOrigin(origin + ":443"), orig, nil},
		{"origin with a slash", authenticator.ForgeOrigin(origin + "/"), orig, rewrite("https://", `https:\/\/`)},
		{"origin with a path", authenticator.ForgeOrigin(origin + "/evil"), orig, nil},
		{"origin with a fragment", authenticator.ForgeOrigin(origin + "#evil"), orig, nil},
		{"origin with a user", authenticator.ForgeOrigin("https://evil@keylodge.example"), orig, nil},
		{"origin with its host in capitals", authenticator.ForgeOrigin("https://Keylodge.Example"), orig, nil},
		{"origin with its scheme in capitals", authenticator.ForgeOrigin("HTTPS://keylodge.example"), orig, nil},
		{"app origin in other letters", authenticator.ForgeOrigin(strings.ToLower(appOrigin)), orig, authenticator.ForgeOrigin(appOrigin)},
		{"origin null", authenticator.ForgeOrigin("null"), orig, nil},
		{"origin empty", authenticator.ForgeOrigin(""), orig, nil},

		{"cross-origin", authenticator.ForgeCrossOrigin(""), cross, rewrite(`,"crossOrigin":false`, "")},
		{"cross-origin under a foreign page", authenticator.ForgeCrossOrigin("https://evil.example"), cross, nil},
		{"cross-origin under a page of ours", authenticator.ForgeCrossOrigin(origin), cross, nil},
		{"topOrigin without crossOrigin", with(`"topOrigin":` + foreign), cross, with(`"topOrigins":` + foreign)},
		{"topOrigin of ours", with(`"topOrigin":"` + origin + `"`), cross, with(`"topOrigin":null`)},
		{"topOrigin empty", with(`"topOrigin":""`), cross, nil},
		{"topOrigin a list", with(`"topOrigin":[]`), cross, nil},

		{"type twice", with(`"type":` + quoted), malf, with(`"new_keys_may_be_added_here":"do not compare clientDataJSON against a template"`)},
		{"type twice, a foreign one first", rewrite("{", `{"type":"`+string(other)+`",`), malf, nil},
		{"challenge twice", rewrite("{", `{"challenge":"AAAA",`), malf, nil},
		{"origin twice", rewrite("{", `{"origin":`+foreign+`,`), malf, nil},
		{"origin twice, once escaped", rewrite("{", `{"\u006frigin":`+foreign+`,`), malf, nil},
		{"crossOrigin twice", rewrite("{", `{"crossOrigin":true,`), malf, nil},
		{"an unknown member twice", with(`"a":1,"a":2`), malf, with(`"a":1,"A":2`)},
		{"a member of a member twice", with(`"a":{"b":1,"b":2}`), malf, with(`"a":{"b":1,"c":2}`)},
		{"Type instead of type", rewrite(`"type"`, `"Type"`), malf, nil},
		{"Type beside type", with(`"Type":` + quoted), malf, nil},
		{"CHALLENGE beside challenge", rewrite("{", `{"CHALLENGE":"AAAA",`), malf, nil},
		{"Origin beside origin", rewrite("{", `{"Origin":`+foreign+`,`), malf, nil},
		{"crossorigin beside crossOrigin", rewrite("{", `{"crossorigin":true,`), malf, nil},
		{"crossOrigin with a long s", with("\"cro\u017fsOrigin\":false"), malf, nil},
		{"TopOrigin", with(`"TopOrigin":` + foreign), malf, nil},

		{"type missing", rewrite(`"type":`+quoted+`,`, ""), malf, nil},
		{"challenge missing", rewrite(`"challenge"`, `"x"`), malf, nil},
		{"origin missing", rewrite(`"origin"`, `"x"`), malf, nil},
		{"type null", rewrite(quoted, "null"), malf, nil},
		{"type a list", rewrite(quoted, "["+quoted+"]"), malf, nil},
		{"challenge a number", rewrite(`"challenge":`, `"challenge":0,"x":`), malf, nil},
		{"origin a list", rewrite(`"`+origin+`"`, `["`+origin+`"]`), malf, nil},
		{"crossOrigin a text", rewrite("false", `"false"`), malf, nil},
		{"crossOrigin a number", rewrite("false", `0`), malf, rewrite("false", `null`)},
		{"tokenBinding twice", with(`"tokenBinding":1,"tokenBinding":1`), malf, with(`"tokenBinding":"unused"`)},
		{"tokenBinding with invalid UTF-8", with("\"tokenBinding\":\"\xff\""), malf, with(`"tokenBinding":{}`)},
		{"tokenBinding cut short", with(`"tokenBinding":{`), malf, with(`"tokenBinding":{"status":"other","id":7}`)},
		{"tokenBinding without a value", with(`"tokenBinding":`), malf, with(`"tokenBinding":null,"TokenBinding":[]`)},

		{"two byte order marks", rewrite("{", "\ufeff\ufeff{"), malf, rewrite("{", "\ufeff{")},
		{"a byte order mark in UTF-16", rewrite("{", "\xfe\xff{"), malf, rewrite("{", " \n{ ")},
		{"a byte order mark within", rewrite("{", "{\ufeff"), malf, nil},
		{"invalid UTF-8 in an unknown member", with("\"a\":\"\xff\""), malf, with("\"a\":\"\u00ff\"")},
		{"invalid UTF-8 in a name", with("\"\xff\":1"), malf, nil},
		{"half a surrogate pair", with(`"a":"\ud800"`), malf, with(`"a":"\ud83d\ude00"`)},
		{"bytes after the object", authenticator.ForgeClientDataJSON(func(data []byte) []byte { return append(data, "{}"...) }), malf, nil},
		{"a NUL after the object", authenticator.ForgeClientDataJSON(func(data []byte) []byte { return append(data, 0) }), malf, nil},
		{"nothing", instead(""), malf, nil},
		{"no JSON", instead("type=webauthn.create"), malf, nil},
		{"null", instead("null"), malf, nil},
		{"a list", instead("[]"), malf, nil},
		{"an empty object", instead("{}"), malf, nil},
		{"a comment", rewrite("{", "{/**/"), malf, nil},
		{"very deep nesting", with(`"a":` + strings.Repeat("[", 20_000)), malf, nil},
	}
}
