package httpapi

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/domain"
)

// withRequest calls fn with a request as a handler receives it.
func withRequest(prepare func(*fasthttp.Request), fn func(c *fiber.Ctx)) {
	app := fiber.New(fiber.Config{Immutable: true, DisableStartupMessage: true})
	request := &fasthttp.RequestCtx{}
	prepare(&request.Request)
	c := app.AcquireCtx(request)
	defer app.ReleaseCtx(c)
	fn(c)
}

// fuzzedBody has every kind of member of requests.
type fuzzedBody struct {
	Email      string                   `json:"email"`
	Transport  *string                  `json:"transport"`
	Credential authenticationCredential `json:"credential"`
}

// FuzzDecodeBody decodes every accepted body with encoding/json too, which must return the same. encoding/json ignores the case of
// names, so bodies with such names are skipped.
// Requirement: ASVS-15.3.3
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", " {}\n", "null", "[]", `""`, "{", "{}{}", "{},", "\ufeff{}", "{}\x00",
		`{"email":"ada@example.org","transport":"bearer"}`, `{"email":null,"transport":null,"credential":null}`, `{"email":1}`, `{"email":["a"]}`,
		`{"email":"a","email":"b"}`, `{"email":"a","Email":"b"}`, `{"EMAIL":"b"}`, `{"email":"a","\u0065mail":"b"}`, `{"\u0065mail":"b"}`,
		`{"email":"\ud800"}`, `{"email":"\ud83d\ude00"}`, "{\"email\":\"\xff\"}", "{\"\xff\":1}", "{\"email\":\"\x01\"}", `{"email":"\u0000"}`,
		`{"x":1e999}`, `{"x":-0}`, `{"x":01}`, `{"x":NaN}`, `{"x":1,}`, `{/**/}`, `{'email':1}`,
		`{"credential":{"id":"AQI","rawId":"AQI=","type":"public-key","clientExtensionResults":{"a":[1,{"b":null}]},"response":{"signature":"+/8","userHandle":null}}}`,
		`{"credential":{"id":"A"}}`, `{"credential":{"id":"AQ\n=="}}`, `{"credential":{"id":"===="}}`, `{"credential":{"id":5}}`, `{"credential":[]}`,
		`{"credential":{"response":{"userHandle":""}}}`, `{"credential":{"clientExtensionResults":{"a":1,"a":2}}}`,
		`{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, `{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, `{"x":` + strings.Repeat(`{"x":`, 60_000/5),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var body fuzzedBody
		var err error
		withRequest(func(r *fasthttp.Request) { r.SetBody(sent) }, func(c *fiber.Ctx) { err = decodeBody(c, &body) })
		if err != nil {
			p := problemOf(err)
			if p.Status != 400 || p.Code != "invalid_request" || len(p.Errors) == 0 || len(p.Errors[0].Field) > 128 || !utf8.ValidString(p.Detail) {
				t.Fatalf("%q: %v becomes %+v", sent, err, p)
			}
			return
		}
		if len(sent) == 0 {
			return
		}
		var members map[string]any
		reader := json.NewDecoder(bytes.NewReader(sent))
		reader.UseNumber() // of any size
		if err := reader.Decode(&members); err != nil || !utf8.Valid(sent) || !json.Valid(sent) {
			t.Fatalf("%q is accepted but invalid: %v", sent, err)
		}
		if levels := depth(members); levels > 32 {
			t.Fatalf("accepted %d levels", levels)
		}
		if hasCaseVariant(members) {
			return
		}
		var want fuzzedBody
		if err := json.Unmarshal(sent, &want); err != nil || !reflect.DeepEqual(want, body) {
			t.Fatalf("%q\ngot  %+v\nwant %+v, %v", sent, body, want, err)
		}
	})
}

func depth(value any) (levels int) {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			levels = max(levels, depth(member))
		}
	case []any:
		for _, item := range value {
			levels = max(levels, depth(item))
		}
	default:
		return 0
	}
	return levels + 1
}

func hasCaseVariant(members map[string]any) bool {
	for name, value := range members {
		for _, known := range []string{
			"email", "transport", "credential", "id", "rawId", "type", "authenticatorAttachment", "clientExtensionResults", "response",
			"clientDataJSON", "authenticatorData", "signature", "userHandle",
		} {
			if name != known && strings.EqualFold(name, known) {
				return true
			}
		}
		if nested, ok := value.(map[string]any); ok && hasCaseVariant(nested) {
			return true
		}
	}
	return false
}

// FuzzBinary checks that every encoding of some bytes decodes to them, and that anything else is rejected.
func FuzzBinary(f *testing.F) {
	for _, seed := range []string{"", "AQI", "AQI=", "AQI==", "+/-_", "A", "AR", "====", "A=QI", "AQ\nI", "AQI \t", "AQI\x00", "Äö", "AQI=\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var exact binary
		for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.StdEncoding} {
			if err := exact.UnmarshalText([]byte(encoding.EncodeToString(sent))); err != nil || !bytes.Equal(exact, sent) {
				t.Fatalf("%x decodes to %x, %v", sent, []byte(exact), err)
			}
		}
		var decoded binary
		if err := decoded.UnmarshalText(sent); err != nil {
			if err != error(errInvalidBase64) || decoded != nil {
				t.Fatalf("%q: error %v, value %x", sent, err, []byte(decoded))
			}
			return
		}
		plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(string(sent), "="))
		if again := base64.RawURLEncoding.EncodeToString(decoded); len(again) != len(plain) || len(plain) > 0 && again[:len(plain)-1] != plain[:len(plain)-1] {
			t.Fatalf("%q decodes to %x, which encodes to %q", sent, []byte(decoded), again)
		}
	})
}

// FuzzCookies checks that a browser cookie is accepted only if this server signed it, whatever the Cookie header contains, that the
// session token is read unchanged, and that the server's cookie is found among others.
func FuzzCookies(f *testing.F) {
	key := bytes.Repeat([]byte{7}, 32)
	k := cookies{bindingKeys: [][]byte{key}}
	signed := "NONCE." + k.bindingKeys.Sign("NONCE")
	for _, seed := range []string{
		"", "keylodge_browser=" + signed, "keylodge_browser=" + signed + "; keylodge_session=kls_" + strings.Repeat("A", 43), `keylodge_browser="` + signed + `"`,
		"keylodge_browser=." + k.bindingKeys.Sign(""), "keylodge_browser=NONCE.", "keylodge_browser=OTHER." + k.bindingKeys.Sign("NONCE"), "keylodge_browser=" + signed + "x", "keylodge_browser=x; keylodge_browser=" + signed,
		"Keylodge_Browser=" + signed, "__Host-keylodge_browser=" + signed, "keylodge_browser", "=;=;", "keylodge_browser=" + signed + ";\x00", "a=\"; keylodge_browser=" + signed,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		if bytes.ContainsAny(header, "\r\n") {
			return // cannot be in one header
		}
		withRequest(func(r *fasthttp.Request) { r.Header.SetBytesV(fiber.HeaderCookie, header) }, func(c *fiber.Ctx) {
			value := c.Cookies("keylodge_browser")
			nonce, mac, _ := strings.Cut(value, ".")
			want := hmac.New(sha256.New, key)
			want.Write([]byte(nonce))
			isSigned := mac == base64.RawURLEncoding.EncodeToString(want.Sum(nil))
			if got := k.readBinding(c, "keylodge_browser"); got.IsZero() == isSigned || isSigned && got != domain.BindTo(domain.NewSecret(value)) {
				t.Fatalf("%q: signed %t, accepted %t", header, isSigned, !got.IsZero())
			}
			token, err := k.sessionToken(c)
			if err == nil && !bytes.Contains(header, []byte(token.Reveal())) || err != nil && !errors.Is(err, domain.ErrUnauthenticated) {
				t.Fatalf("%q: %q, %v", header, token.Reveal(), err)
			}
		})
		withRequest(func(r *fasthttp.Request) {
			r.Header.SetBytesV(fiber.HeaderCookie, append([]byte("keylodge_browser="+signed+"; "), header...))
		}, func(c *fiber.Ctx) {
			if bytes.Contains(header, []byte("keylodge_browser")) {
				return
			}
			if k.readBinding(c, "keylodge_browser") != domain.BindTo(domain.NewSecret(signed)) {
				t.Fatalf("the browser cookie is not found before %q", header)
			}
		})
	})
}

func FuzzCSRFToken(f *testing.F) {
	session, err := domain.ParseSessionID("01a206fa-f19b-71aa-8eee-8e90a9bc70db")
	if err != nil {
		f.Fatal(err)
	}
	key := bytes.Repeat([]byte{7}, 32)
	tokens := csrfTokens{[][]byte{key}}
	issued := "NONCE." + tokens.keys.Sign(csrfMessage(session, "NONCE"))
	for _, seed := range []string{"", ".", issued, issued + "=", " " + issued, strings.ToUpper(issued), "." + tokens.keys.Sign(csrfMessage(session, "")), "A.B." + tokens.keys.Sign(csrfMessage(session, "A.B"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		nonce, mac, _ := strings.Cut(token, ".")
		expected := hmac.New(sha256.New, key)
		expected.Write([]byte("01a206fa-f19b-71aa-8eee-8e90a9bc70db!" + nonce))
		want := mac == base64.RawURLEncoding.EncodeToString(expected.Sum(nil)) && len(token) <= 128
		if err := tokens.verify(token, session); (err == nil) != want || err != nil && err != error(errCSRF) {
			t.Fatalf("%q: %v", token, err)
		}
		if err := tokens.verify(token, domain.SessionID{}); err == nil {
			t.Fatalf("%q is valid for another session", token)
		}
	})
}

// FuzzParsePage checks that a valid cursor is parsed to its id, and that an error names the invalid parameter.
func FuzzParsePage(f *testing.F) {
	const id = "01a206fa-f19b-71aa-8eee-8e90a9bc70db"
	for _, seed := range []string{
		"", "cursor=" + id, "limit=1&cursor=" + id, "limit=0", "limit=100", "limit=101", "limit=-1", "limit=1e2", "limit=+5", "limit=٥", "limit=99999999999999999999", "limit=5&limit=500",
		"cursor=x", "cursor=" + id + "%00", "cursor=%30" + id[1:], "cursor=" + strings.ToUpper(id), "cursor=" + id + "&cursor=x", "%zz=1", "cursor", "limit=%",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		withRequest(func(r *fasthttp.Request) { r.URI().SetQueryStringBytes(query) }, func(c *fiber.Ctx) {
			after, limit, err := parsePage(c, domain.ParseEventID)
			if err != nil {
				if p := problemOf(err); p.Status != 400 || p.Code != "invalid_request" || len(p.Errors) == 0 {
					t.Fatalf("%q: %v becomes %+v", query, err, p)
				}
				return
			}
			if limit < 1 || limit > maxPageSize {
				t.Fatalf("%q: limit %d", query, limit)
			}
			if cursor := c.Query("cursor"); cursor == "" != after.IsZero() && cursor != (domain.EventID{}).String() || cursor != "" && !strings.EqualFold(cursor, after.String()) {
				t.Fatalf("%q: after %s", query, after)
			}
		})
	})
}

func TestParsePage_CursorRoundTrip(t *testing.T) {
	id := domain.NewEventID(time.UnixMilli(1), bytes.NewReader(make([]byte, 16)))
	withRequest(func(r *fasthttp.Request) { r.URI().SetQueryString("cursor=" + url.QueryEscape(id.String())) }, func(c *fiber.Ctx) {
		if after, limit, err := parsePage(c, domain.ParseEventID); after != id || limit != defaultPageSize || err != nil {
			t.Errorf("%s, %d, %v", after, limit, err)
		}
	})
}
