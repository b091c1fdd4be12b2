package jwt

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// signedAs signs a header and a payload without changing their text.
func signedAs(key *Key, header, payload string) string {
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	return text + "." + encode(signWith(key)(text))
}

// validClaimsJSON returns the claims of a valid token as JSON values by name.
func validClaimsJSON() map[string]string {
	return map[string]string{
		"iss": `"` + issuer + `"`, "aud": `"` + testAudience + `"`, "sub": `"0195517e-5d1d-7a6b-8f0e-3c1f0a2b4c5d"`,
		"sid": `"0195517e-5d1e-7b7c-9a1b-6d7e8f901a2b"`, "jti": `"f9hXtP1wGmLzRkQ2"`, "client_id": `"keylodge"`,
		"iat": fmt.Sprint(now.Unix() - 60), "nbf": fmt.Sprint(now.Unix() - 60), "exp": fmt.Sprint(now.Unix() + 240),
		"auth_time": fmt.Sprint(now.Unix() - 3600), "amr": `["hwk","user","mfa"]`, "scope": `"account"`,
	}
}

func encodeClaims(claims map[string]string, more ...string) string {
	members := more
	for name, value := range claims {
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// Tokens with a valid signature are rejected if Keylodge would not issue them.
// Requirement: ASVS-9.2.1
func TestVerify_RejectsMalformedTokensWithValidSignature(t *testing.T) {
	key := generate(t, domain.SigningEdDSA)
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"}`, key.ID())
	with := func(name, value string) string {
		claims := validClaimsJSON()
		claims[name] = value
		return encodeClaims(claims)
	}
	malformed := map[string][2]string{} // header and payload
	for name, value := range validClaimsJSON() {
		for _, other := range []string{`""`, `null`, `true`, `{}`, `[]`, `[null]`, `[1]`, `[""]`, `[["account"]]`, `{"` + name + `":` + value + `}`} {
			malformed[name+": "+other] = [2]string{header, with(name, other)}
		}
		malformed[name+" twice"] = [2]string{header, encodeClaims(validClaimsJSON(), fmt.Sprintf("%q:%s", name, value))}
		malformed[name+" twice, escaped"] = [2]string{header, encodeClaims(validClaimsJSON(), fmt.Sprintf(`"\u%04x%s":%s`, name[0], name[1:], value))}
		if name == "nbf" || name == "scope" { // optional, so that another name is an unknown claim
			continue
		}
		claims := validClaimsJSON()
		delete(claims, name)
		malformed[name+" in upper case"] = [2]string{header, encodeClaims(claims, fmt.Sprintf("%q:%s", strings.ToUpper(name), value))}
		malformed[name+" in an object"] = [2]string{header, encodeClaims(claims, fmt.Sprintf(`"claims":{%q:%s}`, name, value))}
	}
	for _, name := range []string{"iss", "aud", "sub", "sid", "jti", "client_id", "scope"} {
		malformed[name+": a number"] = [2]string{header, with(name, "1")}
		if name != "aud" {
			malformed[name+": a list"] = [2]string{header, with(name, "["+validClaimsJSON()[name]+"]")}
		}
	}
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		for _, date := range []string{
			`"` + validClaimsJSON()[name] + `"`, `"2026-03-01T12:00:00Z"`, "-1", "-0", "-1e99", "1e300", "1e999", "253402300800", "9223372036854775808",
			"18446744073709551617", "[" + validClaimsJSON()[name] + "]",
		} {
			malformed[name+": "+date] = [2]string{header, with(name, date)}
		}
	}
	malformed["exp in milliseconds"] = [2]string{header, with("exp", validClaimsJSON()["exp"]+"000")}
	for _, list := range []string{`["hwk",null]`, `["hwk",1]`, `["hwk",""]`, `["hwk",["mfa"]]`, `{"0":"hwk"}`} {
		malformed["amr: "+list] = [2]string{header, with("amr", list)}
	}
	for _, list := range []string{`["` + testAudience + `",null]`, `["` + testAudience + `",""]`, `["` + testAudience + `",1]`, `[["` + testAudience + `"]]`} {
		malformed["aud: "+list] = [2]string{header, with("aud", list)}
	}
	for _, scope := range []string{`" account"`, `"account "`, `"account  email"`, `" "`} {
		malformed["scope: "+scope] = [2]string{header, with("scope", scope)}
	}
	valid := encodeClaims(validClaimsJSON())
	for name, payload := range map[string]string{
		"duplicates of an unknown claim":   encodeClaims(validClaimsJSON(), `"x":1`, `"x":1`),
		"duplicates in an unknown claim":   encodeClaims(validClaimsJSON(), `"x":{"y":1,"y":2}`),
		"duplicates in a list":             encodeClaims(validClaimsJSON(), `"x":[[{"y":1,"y":2}]]`),
		"nested too deep":                  encodeClaims(validClaimsJSON(), `"x":`+strings.Repeat("[", 8)+strings.Repeat("]", 8)),
		"nested very deep":                 encodeClaims(validClaimsJSON(), `"x":`+strings.Repeat(`[`, 1000)+strings.Repeat("]", 1000)),
		"not closed":                       valid[:len(valid)-1],
		"closed twice":                     valid + "}",
		"followed by another":              valid + valid,
		"followed by a comma":              valid + ",",
		"followed by a zero byte":          valid + "\x00",
		"after a byte order mark":          "\ufeff" + valid,
		"after a no-break space":           "\u00a0" + valid,
		"after a form feed":                "\f" + valid,
		"with invalid UTF-8":               encodeClaims(validClaimsJSON(), "\"x\":\"\xff\""),
		"in UTF-16":                        "{\x00}\x00",
		"with a comment":                   valid + "/**/",
		"with a trailing comma":            valid[:len(valid)-1] + ",}",
		"in a list":                        "[" + valid + "]",
		"in a string":                      fmt.Sprintf("%q", valid),
		"a token in a token":               `"` + signedAs(key, header, valid) + `"`,
		"with a number of leading zeros":   with("exp", "0"+validClaimsJSON()["exp"]),
		"with a hexadecimal number":        with("exp", fmt.Sprintf("0x%x", now.Unix()+240)),
		"with a number that has no digits": with("exp", "NaN"),
	} {
		malformed["payload "+name] = [2]string{header, payload}
	}
	inner := header[1 : len(header)-1]
	for name, header := range map[string]string{
		"alg twice":                  `{"alg":"none",` + inner + `}`,
		"kid twice":                  `{"kid":"x",` + inner + `}`,
		"typ twice":                  `{"typ":"JWT",` + inner + `}`,
		"alg twice, equal":           `{"alg":"EdDSA",` + inner + `}`,
		"an unknown parameter twice": `{"x":1,"x":1,` + inner + `}`,
		"a nested parameter twice":   `{"x":{"y":1,"y":1},` + inner + `}`,
		"crit null":                  `{"crit":null,` + inner + `}`,
		"crit with an unknown name":  `{"crit":["x"],"x":1,` + inner + `}`,
		"crit a string":              `{"crit":"exp",` + inner + `}`,
		"names in upper case":        strings.ToUpper(header[:7]) + header[7:],
		"closed twice":               header + "}",
		"a list":                     "[" + header + "]",
		"null":                       "null",
		"nested too deep":            `{"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `,` + inner + `}`,
		"invalid UTF-8":              "{\"x\":\"\xff\"," + inner + `}`,
	} {
		malformed["header: "+name] = [2]string{header, valid}
	}
	keys := []ports.TokenKey{key}
	for name, token := range malformed {
		got, err := New().Verify(signedAs(key, token[0], token[1]), keys, expected)
		if err != domain.ErrAccessTokenInvalid || !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}

// Optional forms of RFC 7519 are accepted: any order of members, JSON white space, unknown claims, numbers with a fraction or an
// exponent, and one audience as an array.
// Requirement: ASVS-9.2.1
func TestVerify_AcceptsOptionalRFC7519Forms(t *testing.T) {
	key := generate(t, domain.SigningEdDSA)
	header := fmt.Sprintf(" {\"x\": {\"y\": [1]},\n\t\"alg\": \"EdDSA\", \"kid\": %q, \"typ\": \"at+jwt\"}\r\n", key.ID())
	claims := validClaimsJSON()
	claims["aud"] = "[" + claims["aud"] + "]"
	claims["iat"] += ".5"
	claims["exp"] += ".5"
	claims["auth_time"] = fmt.Sprintf("%.9fe9", float64(now.Unix()-3600)/1e9)
	want := validClaims(t)
	want.Scope = []string{domain.ScopeAccount}
	want.IssuedAt, want.ExpiresAt = want.IssuedAt.UTC(), want.ExpiresAt.UTC()
	want.AuthTime = now.Add(-3600 * 1e9).Truncate(1e9)
	got, err := New().Verify(signedAs(key, header, encodeClaims(claims, `"x": {"exp": "never", "y": [[[[[[]]]]]]}`)), []ports.TokenKey{key}, expected)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	delete(claims, "nbf")
	delete(claims, "scope")
	if got, err := New().Verify(signedAs(key, header, encodeClaims(claims)), []ports.TokenKey{key}, expected); err != nil || got.Scope != nil {
		t.Errorf("without optional members: %+v, %v", got, err)
	}
}

// Each part of a token has one encoding only: without padding, white space or spare bits, even if these are signed.
// Requirement: ASVS-9.2.1
func TestVerify_RejectsNonCanonicalBase64(t *testing.T) {
	key := generate(t, domain.SigningEdDSA)
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"}`, key.ID())
	for len(header)%3 != 1 {
		header += " "
	}
	payload := encodeClaims(validClaimsJSON())
	for len(payload)%3 != 1 {
		payload += " "
	}
	if _, err := New().Verify(signedAs(key, header, payload), []ports.TokenKey{key}, expected); err != nil {
		t.Fatal(err)
	}
	for name, spell := range map[string]func(string) string{
		"spare bits":         spareBits,
		"padding":            func(s string) string { return s + "==" },
		"a space":            func(s string) string { return s[:8] + " " + s[8:] },
		"a tab":              func(s string) string { return s + "\t" },
		"a newline":          func(s string) string { return s + "\n" },
		"a no-break space":   func(s string) string { return s + "\u00a0" },
		"one more character": func(s string) string { return s + "A" },
	} {
		for part := range 2 {
			parts := [2]string{encode([]byte(header)), encode([]byte(payload))}
			parts[part] = spell(parts[part])
			text := parts[0] + "." + parts[1]
			if _, err := New().Verify(text+"."+encode(signWith(key)(text)), []ports.TokenKey{key}, expected); err != domain.ErrAccessTokenInvalid {
				t.Errorf("%s in part %d: %v", name, part, err)
			}
		}
	}
}
