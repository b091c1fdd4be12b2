package jwt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var algorithms = []domain.SigningAlgorithm{domain.SigningES256, domain.SigningEdDSA}

const (
	issuer       = "https://keylodge.example"
	testAudience = "https://api.example"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 500_000_000, time.UTC)

var expected = ports.ExpectedClaims{Issuer: issuer, Audience: testAudience, Now: now}

// validClaims returns the claims of a token that was issued a minute ago and expires in four minutes.
func validClaims(t testing.TB) domain.AccessClaims {
	t.Helper()
	user, err := domain.ParseUserID("0195517e-5d1d-7a6b-8f0e-3c1f0a2b4c5d")
	if err != nil {
		t.Fatal(err)
	}
	session, err := domain.ParseSessionID("0195517e-5d1e-7b7c-9a1b-6d7e8f901a2b")
	if err != nil {
		t.Fatal(err)
	}
	issued := now.Add(-time.Minute).Truncate(time.Second)
	return domain.AccessClaims{
		TokenID: "f9hXtP1wGmLzRkQ2", Issuer: issuer, Audience: []string{testAudience}, ClientID: "keylodge", Subject: user, SessionID: session,
		IssuedAt: issued, ExpiresAt: issued.Add(5 * time.Minute), AuthTime: issued.Add(-time.Hour), AMR: []string{"hwk", "user", "mfa"},
	}
}

func generate(t testing.TB, algorithm domain.SigningAlgorithm) *Key {
	t.Helper()
	key, err := New().Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*Key)
}

func sign(t testing.TB, key *Key, claims domain.AccessClaims) string {
	t.Helper()
	token, err := key.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// Requirement: RFC8725-3.8
func TestSign_RFC9068Claims(t *testing.T) {
	several := validClaims(t)
	several.Audience = []string{testAudience, issuer}
	several.ExpiresAt = several.ExpiresAt.Add(999 * time.Millisecond)
	for _, algorithm := range algorithms {
		key := generate(t, algorithm)
		header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, algorithm, key.ID())
		payload := `{"iss":"https://keylodge.example","sub":"0195517e-5d1d-7a6b-8f0e-3c1f0a2b4c5d",` +
			`"exp":1772366640,"iat":1772366340,"jti":"f9hXtP1wGmLzRkQ2","aud":%s,"client_id":"keylodge",` +
			`"sid":"0195517e-5d1e-7b7c-9a1b-6d7e8f901a2b","auth_time":1772362740,"amr":["hwk","user","mfa"]}`
		wantToken(t, sign(t, key, validClaims(t)), header, fmt.Sprintf(payload, `"https://api.example"`))
		wantToken(t, sign(t, key, several), header, fmt.Sprintf(payload, `["https://api.example","https://keylodge.example"]`))
	}
}

func wantToken(t *testing.T, token, header, payload string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if got := decode(t, parts[0]); string(got) != header {
		t.Errorf("the header is %s\nwant          %s", got, header)
	}
	if got := decode(t, parts[1]); string(got) != payload {
		t.Errorf("the payload is %s\nwant           %s", got, payload)
	}
}

func TestKey_PrivateRoundTrip(t *testing.T) {
	for _, algorithm := range algorithms {
		key := generate(t, algorithm)
		private, err := key.Private()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := New().Parse(private)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.ID() != key.ID() || parsed.Algorithm() != algorithm || key.Algorithm() != algorithm {
			t.Errorf("%s %s was parsed as %s %s", key.Algorithm(), key.ID(), parsed.Algorithm(), parsed.ID())
		}
		claims, err := New().Verify(sign(t, parsed.(*Key), validClaims(t)), []ports.TokenKey{key}, expected)
		if err != nil || !reflect.DeepEqual(claims, validClaims(t)) {
			t.Errorf("%+v, %v", claims, err)
		}
	}
}

// Requirement: RFC8725-3.5
func TestKeys_RejectUnsupportedKeys(t *testing.T) {
	if _, err := New().Generate("RS256"); err == nil {
		t.Error("Generate accepts RS256")
	}
	for name, private := range otherPrivateKeys(t) {
		if _, err := New().Parse(private.der); err == nil || !strings.Contains(err.Error(), private.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New().Parse([]byte("no key")); err == nil {
		t.Error("Parse accepts text")
	}
}

func TestKey_PublicHasNoPrivateMembers(t *testing.T) {
	want := map[domain.SigningAlgorithm]string{
		domain.SigningES256: `{"alg":"ES256","crv":"P-256","kid":"%s","kty":"EC","use":"sig","x":"%s","y":"%s"}`,
		domain.SigningEdDSA: `{"alg":"EdDSA","crv":"Ed25519","kid":"%s","kty":"OKP","use":"sig","x":"%s"}`,
	}
	for _, algorithm := range algorithms {
		key := generate(t, algorithm)
		members := publicMembers(t, key)
		values := []any{key.ID(), members["x"]}
		if y, there := members["y"]; there {
			values = append(values, y)
		}
		sorted, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(want[algorithm], values...); string(sorted) != want {
			t.Errorf("published as %s\nwant         %s", sorted, want)
		}
	}
}

// A coordinate that begins with 00 keeps its length. One of 128 keys has such a coordinate.
func TestJWK_CoordinatesHaveFullLength(t *testing.T) {
	for tries := range 10_000 {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 && point[33] != 0 {
			continue
		}
		key, err := newKey(private)
		if err != nil {
			t.Fatal(err)
		}
		members := publicMembers(t, key)
		if x, y := decode(t, members["x"]), decode(t, members["y"]); !bytes.Equal(append(x, y...), point[1:]) || len(x) != 32 {
			t.Errorf("after %d attempts: x is %x and y is %x of the point %x", tries, x, y, point)
		}
		return
	}
	t.Fatal("no such key in 10000")
}

// RFC 8037, appendix A.1 to A.5.
func TestKey_RFC8037Ed25519(t *testing.T) {
	key := rfcKeys(t)[0]
	if key.ID() != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("the thumbprint is %s", key.ID())
	}
	if x := publicMembers(t, key)["x"]; x != "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" {
		t.Errorf("x is %s", x)
	}
	const text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	signature, err := key.method.Sign(text, key.private)
	if err != nil {
		t.Fatal(err)
	}
	if encoded := base64.RawURLEncoding.EncodeToString(signature); encoded !=
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" {
		t.Errorf("the signature is %s", encoded)
	}
}

// RFC 7515, appendix A.3. The thumbprint is that of RFC 9449, section 6.1, for the key of its section 4.1; RFC 7638 has one for RSA
// only.
func TestKey_RFC7515AndRFC9449P256(t *testing.T) {
	key := rfcKeys(t)[1]
	members := publicMembers(t, key)
	if members["x"] != "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" || members["y"] != "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" {
		t.Errorf("published as %v", members)
	}
	const text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	signature := decode(t, "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	if err := key.method.Verify(text, signature, key.private.Public()); err != nil {
		t.Error(err)
	}

	point := append([]byte{4}, decode(t, "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs")...)
	point = append(point, decode(t, "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")...)
	if id, err := p256JWK(point).thumbprint(); err != nil || id != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("the thumbprint is %s, %v", id, err)
	}
}

func TestKey_IsRedacted(t *testing.T) {
	for _, algorithm := range algorithms {
		key := generate(t, algorithm)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			for name, printed := range map[string]string{"key": fmt.Sprintf(verb, key), "keys": fmt.Sprintf(verb, []ports.TokenKey{key})} {
				if strings.Trim(printed, "[]") != "redacted" && printed != "[]ports.TokenKey{[redacted]}" {
					t.Errorf("%s of %s is %s", verb, name, printed)
				}
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "key", key)
		slog.New(slog.NewTextHandler(&log, nil)).Info("", "key", key)
		if strings.Count(log.String(), "key=[redacted]")+strings.Count(log.String(), `"key":"[redacted]"`) != 2 {
			t.Errorf("logged: %s", log.String())
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range algorithms {
		key, claims := generate(b, algorithm), validClaims(b)
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// rfcKeys returns the keys of RFC 8037, appendix A.1, and RFC 7515, appendix A.3.
func rfcKeys(t testing.TB) []*Key {
	t.Helper()
	p256, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), decode(t, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []*Key
	for _, private := range []any{ed25519.NewKeyFromSeed(decode(t, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")), p256} {
		key, err := newKey(private)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func publicMembers(t *testing.T, key *Key) map[string]string {
	t.Helper()
	public, err := key.Public()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(public, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func decode(t testing.TB, encoded string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
