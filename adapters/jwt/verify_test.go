package jwt

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// tokenBuilder builds a token. It is valid unless a mutation changes it.
type tokenBuilder struct {
	header    map[string]any
	claims    map[string]any
	payload   string                     // replaces the claims unless empty
	encode    [3]func(raw []byte) string // of header, payload and signature
	sign      func(text string) []byte
	transform func(token string) string // applied to the signed token
}

// testKeys are signing keys. Verify knows all of them except unknown.
type testKeys struct {
	own            *Key
	sameAlgorithm  *Key // of the same algorithm
	otherAlgorithm *Key // of the other algorithm
	unknown        *Key // of the same algorithm
}

func (k testKeys) known() []ports.TokenKey {
	return []ports.TokenKey{k.otherAlgorithm, k.sameAlgorithm, k.own}
}

func newTestKeys(t testing.TB, algorithm domain.SigningAlgorithm) testKeys {
	other := domain.SigningES256
	if algorithm == other {
		other = domain.SigningEdDSA
	}
	return testKeys{generate(t, algorithm), generate(t, algorithm), generate(t, other), generate(t, algorithm)}
}

func newTokenBuilder(key *Key) *tokenBuilder {
	return &tokenBuilder{
		header: map[string]any{"alg": key.method.Alg(), "kid": key.id, "typ": "at+jwt"},
		claims: map[string]any{
			"iss": issuer, "aud": testAudience, "sub": "0195517e-5d1d-7a6b-8f0e-3c1f0a2b4c5d", "sid": "0195517e-5d1e-7b7c-9a1b-6d7e8f901a2b",
			"jti": "f9hXtP1wGmLzRkQ2", "client_id": "keylodge", "iat": now.Unix() - 60, "exp": now.Unix() + 240, "auth_time": now.Unix() - 3600,
			"amr": []string{"hwk", "user", "mfa"},
		},
		encode:    [3]func([]byte) string{encode, encode, encode},
		sign:      signWith(key),
		transform: func(token string) string { return token },
	}
}

func signWith(key *Key) func(string) []byte {
	return func(text string) []byte {
		signature, err := key.method.Sign(text, key.private)
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func (d *tokenBuilder) token(t testing.TB) string {
	t.Helper()
	payload := d.payload
	if payload == "" {
		payload = mustJSON(d.claims)
	}
	text := d.encode[0](padJSON(mustJSON(d.header))) + "." + d.encode[1](padJSON(payload))
	return d.transform(text + "." + d.encode[2](d.sign(text)))
}

// padJSON adds white space to JSON until its base64 would end in padding.
func padJSON(json string) []byte {
	return append([]byte(json), strings.Repeat(" ", (4-len(json)%3)%3)...)
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

type mutation func(d *tokenBuilder, k testKeys)

func header(name string, value any) mutation {
	return func(d *tokenBuilder, _ testKeys) { d.header[name] = value }
}
func claim(name string, value any) mutation {
	return func(d *tokenBuilder, _ testKeys) { d.claims[name] = value }
}

func without(name string) mutation {
	return func(d *tokenBuilder, _ testKeys) {
		delete(d.header, name)
		delete(d.claims, name)
	}
}

func payload(json string) mutation { return func(d *tokenBuilder, _ testKeys) { d.payload = json } }

// encodePart changes the encoding of one of the three parts before it is signed.
func encodePart(i int, f func(raw []byte) string) mutation {
	return func(d *tokenBuilder, _ testKeys) { d.encode[i] = f }
}

func transformToken(f func(token string) string) mutation {
	return func(d *tokenBuilder, _ testKeys) { d.transform = f }
}

// transformPart changes one of the three parts of the signed token.
func transformPart(i int, f func(string) string) mutation {
	return transformToken(func(token string) string {
		parts := strings.Split(token, ".")
		parts[i] = f(parts[i])
		return strings.Join(parts, ".")
	})
}

// replaceInPart replaces a substring of the header or payload of the signed token.
func replaceInPart(i int, old, replacement string) mutation {
	return transformPart(i, func(encoded string) string {
		raw, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil || !strings.Contains(string(raw), old) {
			panic("no " + old + " in " + string(raw))
		}
		return encode([]byte(strings.Replace(string(raw), old, replacement, 1)))
	})
}

// hmacWith is the attack of RFC 8725, section 2.1: it uses a public key as an HMAC secret.
func hmacWith(secret func(k *Key) ([]byte, error)) mutation {
	return func(d *tokenBuilder, k testKeys) {
		known, err := secret(k.own)
		if err != nil {
			panic(err)
		}
		d.header["alg"] = "HS256"
		d.sign = func(text string) []byte {
			mac, err := jwt.SigningMethodHS256.Sign(text, known)
			if err != nil {
				panic(err)
			}
			return mac
		}
	}
}

// signedByEmbeddedKey signs the token with a key in its own header, with the kid of a known key.
func signedByEmbeddedKey(parameter string) mutation {
	return func(d *tokenBuilder, k testKeys) {
		d.header[parameter] = embeddedKey(parameter, k.unknown)
		d.sign = signWith(k.unknown)
	}
}

// withEmbeddedKey adds the same parameter and leaves the valid signature.
func withEmbeddedKey(parameter string) mutation {
	return func(d *tokenBuilder, k testKeys) { d.header[parameter] = embeddedKey(parameter, k.unknown) }
}

func embeddedKey(parameter string, key *Key) any {
	switch parameter {
	case "jwk":
		return key.public
	case "x5c":
		return []string{"MIIB"}
	default:
		return "https://evil.example/keys"
	}
}

func extraClaim(size int) mutation { return claim("extra", strings.Repeat("x", size)) }

// forgeryCases are mutations that make a token invalid, each with a similar one that keeps it valid; nil is no mutation.
func forgeryCases() map[string][2]mutation {
	all := map[string][2]mutation{
		"no algorithm": {header("alg", nil), nil},
		"algorithm none": {func(d *tokenBuilder, _ testKeys) {
			d.header["alg"] = "none"
			d.sign = func(string) []byte { return nil }
		}, nil},
		"algorithm NONE, still signed":         {header("alg", "NONE"), nil},
		"algorithm none, still signed":         {header("alg", "none"), nil},
		"name of another algorithm":            {header("alg", "ES384"), nil},
		"HMAC with the public key as JWK":      {hmacWith(func(k *Key) ([]byte, error) { return k.public, nil }), nil},
		"HMAC with the public key in DER":      {hmacWith(publicDER), nil},
		"HMAC with the public key in PEM":      {hmacWith(publicPEM), nil},
		"the other key's algorithm":            {func(d *tokenBuilder, k testKeys) { d.header["alg"] = k.otherAlgorithm.method.Alg() }, nil},
		"the other key and algorithm, our kid": {otherKey(false), otherKey(true)},
		"an unknown key":                       {func(d *tokenBuilder, k testKeys) { d.header["kid"], d.sign = k.unknown.id, signWith(k.unknown) }, nil},
		"an unknown key with a known kid":      {func(d *tokenBuilder, k testKeys) { d.sign = signWith(k.unknown) }, nil},
		"the kid of another key": {
			func(d *tokenBuilder, k testKeys) { d.header["kid"] = k.sameAlgorithm.id },
			func(d *tokenBuilder, k testKeys) {
				d.header["kid"], d.sign = k.sameAlgorithm.id, signWith(k.sameAlgorithm)
			},
		},
		"no kid":                  {without("kid"), nil},
		"kid empty":               {header("kid", ""), nil},
		"kid null":                {header("kid", nil), nil},
		"kid a list":              {func(d *tokenBuilder, k testKeys) { d.header["kid"] = []string{k.own.id} }, nil},
		"kid a path":              {header("kid", "../../../../dev/null"), nil},
		"kid a URL":               {header("kid", "https://evil.example/key"), nil},
		"kid a query":             {func(d *tokenBuilder, k testKeys) { d.header["kid"] = k.own.id + "' OR '1'='1" }, nil},
		"kid with a space":        {func(d *tokenBuilder, k testKeys) { d.header["kid"] = k.own.id + " " }, nil},
		"no type":                 {without("typ"), nil},
		"type of an ID token":     {header("typ", "JWT"), nil},
		"type of a logout token":  {header("typ", "logout+jwt"), nil},
		"type in upper case":      {header("typ", "AT+JWT"), nil},
		"type as a media type":    {header("typ", "application/at+jwt"), nil},
		"type a list":             {header("typ", []string{"at+jwt"}), nil},
		"critical extension":      {header("crit", []string{"exp"}), header("exp", 1)},
		"critical, but empty":     {header("crit", []string{}), nil},
		"unencoded payload":       {func(d *tokenBuilder, _ testKeys) { d.header["crit"], d.header["b64"] = []string{"b64"}, false }, nil},
		"another issuer":          {claim("iss", "https://evil.example"), nil},
		"issuer with a slash":     {claim("iss", issuer+"/"), nil},
		"issuer in upper case":    {claim("iss", strings.ToUpper(issuer)), nil},
		"another audience":        {claim("aud", "https://other.example"), claim("aud", []string{"https://other.example", testAudience})},
		"several other audiences": {claim("aud", []string{"a", testAudience + "/"}), claim("aud", []string{testAudience})},
		"audience empty":          {claim("aud", []string{}), nil},
		"audience an object":      {claim("aud", map[string]bool{testAudience: true}), nil},
		"audience with a number":  {claim("aud", []any{testAudience, 1}), nil},
		"subject no id":           {claim("sub", "ada"), nil},
		"session no id":           {claim("sid", "1"), nil},
		"token id empty":          {claim("jti", ""), nil},
		"methods empty":           {claim("amr", []string{}), nil},
		"methods a string":        {claim("amr", "hwk"), claim("amr", []string{"hwk"})},
		"not valid yet":           {claim("nbf", now.Add(clockLeeway).Unix()+1), claim("nbf", now.Add(clockLeeway).Unix())},
		"issued in the future":    {claim("iat", now.Add(clockLeeway).Unix()+1), claim("iat", now.Add(clockLeeway).Unix())},
		"payload null":            {payload("null"), nil},
		"payload a list":          {payload("[]"), nil},
		"payload a string":        {payload(`"sub"`), nil},
		"payload followed by more": {
			func(d *tokenBuilder, _ testKeys) { d.payload = mustJSON(d.claims) + "{}" },
			func(d *tokenBuilder, _ testKeys) { d.payload = mustJSON(d.claims) + "\n" },
		},

		"payload changed":           {replaceInPart(1, "4c5d", "4c5e"), replaceInPart(1, "4c5d", "4c5d")},
		"expiry extended":           {replaceInPart(1, fmt.Sprint(now.Unix()+240), fmt.Sprint(now.Unix()+241)), nil},
		"header changed":            {replaceInPart(0, "at+jwt", "at\\u002bjwt"), nil},
		"signature empty":           {transformPart(2, func(string) string { return "" }), nil},
		"signature truncated":       {transformPart(2, func(s string) string { return s[:len(s)-4] }), nil},
		"signature extended":        {transformPart(2, func(s string) string { return s + "AAAA" }), nil},
		"signature of zeros":        {transformPart(2, func(string) string { return encode(make([]byte, 64)) }), nil},
		"signature in DER":          {func(d *tokenBuilder, k testKeys) { d.sign = inDER(d.sign, k.own) }, nil},
		"signature's spare bits":    {transformPart(2, spareBits), nil},
		"trailing dot":              {transformToken(func(s string) string { return s + "." }), nil},
		"trailing dots":             {transformToken(func(s string) string { return s + ".." }), nil},
		"leading dot":               {transformToken(func(s string) string { return "." + s }), nil},
		"a fourth part":             {transformToken(func(s string) string { return s + ".AAAA" }), nil},
		"two parts":                 {transformToken(func(s string) string { return s[:strings.LastIndex(s, ".")] }), nil},
		"dots only":                 {transformToken(func(string) string { return ".." }), nil},
		"empty token":               {transformToken(func(string) string { return "" }), nil},
		"header padded":             {encodePart(0, base64.URLEncoding.EncodeToString), nil},
		"payload padded":            {encodePart(1, base64.URLEncoding.EncodeToString), nil},
		"signature padded":          {encodePart(2, base64.URLEncoding.EncodeToString), nil},
		"the other base64 alphabet": {otherAlphabet(base64.RawStdEncoding), otherAlphabet(base64.RawURLEncoding)},
		"line break at the end":     {transformToken(func(s string) string { return s + "\n" }), nil},
		"line break in the header":  {encodePart(0, withLineBreak), nil},
		"line break in the payload": {encodePart(1, withLineBreak), nil},
		"line break, signature":     {encodePart(2, withLineBreak), nil},
		"space before":              {transformToken(func(s string) string { return " " + s }), nil},
		"with the scheme":           {transformToken(func(s string) string { return "Bearer " + s }), nil},
		"JSON serialization":        {transformToken(jsonSerialization), nil},
		"too big":                   {extraClaim(6000), extraClaim(5000)},
	}
	for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "jti", "client_id", "sid", "auth_time", "amr"} {
		all["no "+name] = [2]mutation{without(name), nil}
		all[name+" null"] = [2]mutation{claim(name, nil), nil}
		all[name+" true"] = [2]mutation{claim(name, true), nil}
	}
	for _, parameter := range []string{"jwk", "jku", "x5u", "x5c"} {
		all["signed by the key in "+parameter] = [2]mutation{signedByEmbeddedKey(parameter), withEmbeddedKey(parameter)}
	}
	return all
}

// Requirement: ASVS-9.1.1, ASVS-9.2.1, RFC8725-3.1, RFC8725-3.8, RFC8725-3.5
func TestVerify_RejectsForgedTokens(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			k := newTestKeys(t, algorithm)
			for name, rule := range forgeryCases() {
				forged, twin := newTokenBuilder(k.own), newTokenBuilder(k.own)
				rule[0](forged, k)
				if rule[1] != nil {
					rule[1](twin, k)
				}
				claims, err := New().Verify(forged.token(t), k.known(), expected)
				if err != domain.ErrAccessTokenInvalid || !reflect.ValueOf(claims).IsZero() {
					t.Errorf("%s: %v, %+v", name, err, claims)
				}
				if claims, err := New().Verify(twin.token(t), k.known(), expected); err != nil || claims.Subject != validClaims(t).Subject {
					t.Errorf("the valid counterpart of %q: %v, %+v", name, err, claims)
				}
			}
		})
	}
}

// The library also rejects a key of the wrong type. keyfunc must not rely on that.
// Requirement: ASVS-9.1.1, RFC8725-3.1
func TestVerify_RejectsOtherAlgorithm(t *testing.T) {
	k := newTestKeys(t, domain.SigningES256)
	for _, method := range []jwt.SigningMethod{k.otherAlgorithm.method, jwt.SigningMethodES384, jwt.SigningMethodHS256, jwt.SigningMethodNone} {
		if key, err := keyfunc(k.known())(&jwt.Token{Header: newTokenBuilder(k.own).header, Method: method}); err == nil {
			t.Errorf("%s is verified with a key for %s: %v", method.Alg(), k.own.Algorithm(), key)
		}
	}
}

// Requirement: ASVS-9.1.1
func TestVerify_RejectsAnyChangedCharacter(t *testing.T) {
	for _, algorithm := range algorithms {
		k := newTestKeys(t, algorithm)
		token := sign(t, k.own, validClaims(t))
		for i := range token {
			replacement := "A"
			if token[i] == 'A' {
				replacement = "B"
			}
			if _, err := New().Verify(token[:i]+replacement+token[i+1:], k.known(), expected); err != domain.ErrAccessTokenInvalid {
				t.Errorf("%s: character %d changed: %v", algorithm, i, err)
			}
		}
	}
}

// Requirement: ASVS-9.2.1
func TestVerify_Expiry(t *testing.T) {
	k := newTestKeys(t, domain.SigningEdDSA)
	token := sign(t, k.own, validClaims(t))
	for after, want := range map[time.Duration]error{
		-time.Microsecond: nil,
		0:                 domain.ErrAccessTokenExpired,
		time.Hour:         domain.ErrAccessTokenExpired,
	} {
		when := expected
		when.Now = validClaims(t).ExpiresAt.Add(after)
		if _, err := New().Verify(token, k.known(), when); err != want {
			t.Errorf("%s after the expiry: %v, want %v", after, err, want)
		}
	}
}

// An expired token that is invalid for another reason is reported as invalid.
func TestVerify_ExpiredOnlyIfOtherwiseValid(t *testing.T) {
	old := func(also mutation) mutation {
		return func(d *tokenBuilder, k testKeys) {
			d.claims["exp"] = now.Unix()
			also(d, k)
		}
	}
	for _, algorithm := range algorithms {
		k := newTestKeys(t, algorithm)
		for name, c := range map[string]struct {
			mutation
			want error
		}{
			"only expired":    {func(*tokenBuilder, testKeys) {}, domain.ErrAccessTokenExpired},
			"signature":       {func(d *tokenBuilder, k testKeys) { d.sign = signWith(k.unknown) }, domain.ErrAccessTokenInvalid},
			"algorithm":       {header("alg", "none"), domain.ErrAccessTokenInvalid},
			"type":            {header("typ", "JWT"), domain.ErrAccessTokenInvalid},
			"issuer":          {claim("iss", "https://evil.example"), domain.ErrAccessTokenInvalid},
			"audience":        {claim("aud", "https://other.example"), domain.ErrAccessTokenInvalid},
			"not before":      {claim("nbf", now.Unix()+3600), domain.ErrAccessTokenInvalid},
			"a missing claim": {without("jti"), domain.ErrAccessTokenInvalid},
			"session":         {claim("sid", "x"), domain.ErrAccessTokenInvalid},
		} {
			d := newTokenBuilder(k.own)
			old(c.mutation)(d, k)
			if _, err := New().Verify(d.token(t), k.known(), expected); err != c.want {
				t.Errorf("%s, %s: %v, want %v", algorithm, name, err, c.want)
			}
		}
	}
}

// Verify with zero ExpectedClaims rejects every token.
// Requirement: ASVS-9.2.1
func TestVerify_ZeroExpectationRejects(t *testing.T) {
	k := newTestKeys(t, domain.SigningEdDSA)
	for name, d := range map[string]*tokenBuilder{"valid": newTokenBuilder(k.own), "empty": newTokenBuilder(k.own), "missing": newTokenBuilder(k.own)} {
		switch name {
		case "empty":
			d.claims["iss"], d.claims["aud"] = "", ""
		case "missing":
			delete(d.claims, "iss")
			delete(d.claims, "aud")
		}
		if _, err := New().Verify(d.token(t), k.known(), ports.ExpectedClaims{Now: now}); err != domain.ErrAccessTokenInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New().Verify(newTokenBuilder(k.own).token(t), nil, expected); err != domain.ErrAccessTokenInvalid {
		t.Errorf("without keys: %v", err)
	}
}

// Verify accepts only the signed text, and rejects everything else with one of two errors. The keys are constant, since each worker
// of the fuzzer runs this function.
// Requirement: ASVS-9.1.1
func FuzzVerify(f *testing.F) {
	var keys []ports.TokenKey
	signed := map[string]bool{}
	for _, own := range rfcKeys(f) {
		k := newTestKeys(f, own.Algorithm())
		k.own = own
		keys = append(keys, own)
		token := sign(f, own, validClaims(f))
		signed[token[:strings.LastIndex(token, ".")]] = true
		f.Add(token)
		for _, rule := range forgeryCases() {
			forged := newTokenBuilder(own)
			rule[0](forged, k)
			f.Add(forged.token(f))
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := New().Verify(token, keys, expected)
		switch {
		case err == nil && !signed[token[:strings.LastIndex(token, ".")]]:
			t.Errorf("accepted %q: %+v", token, claims)
		case err != nil && err != domain.ErrAccessTokenInvalid && err != domain.ErrAccessTokenExpired:
			t.Errorf("unexpected error %v", err)
		case err != nil && !reflect.ValueOf(claims).IsZero():
			t.Errorf("rejected, but returned %+v", claims)
		}
	})
}

// Of the tokens signed with a known key, Verify accepts only valid access tokens: signing the returned claims yields a token with
// the same claims.
func FuzzVerifyOfSigned(f *testing.F) {
	key := rfcKeys(f)[0]
	for _, rule := range forgeryCases() {
		for _, change := range rule {
			d, k := newTokenBuilder(key), newTestKeys(f, key.Algorithm())
			if change != nil {
				change(d, k)
			}
			f.Add(mustJSON(d.header), mustJSON(d.claims))
		}
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		text := encode([]byte(header)) + "." + encode([]byte(payload))
		claims, err := New().Verify(text+"."+encode(signWith(key)(text)), []ports.TokenKey{key}, expected)
		if err != nil {
			return
		}
		again := sign(t, key, claims)
		if len(again) > maxTokenSize { // JSON escapes may have enlarged it
			return
		}
		if same, err := New().Verify(again, []ports.TokenKey{key}, expected); err != nil || !reflect.DeepEqual(same, claims) {
			t.Errorf("claims %+v\nagain  %+v, %v", claims, same, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range algorithms {
		k, keys := newTestKeys(b, algorithm), New()
		token, known := sign(b, k.own, validClaims(b)), k.known()
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := keys.Verify(token, known, expected); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func mustJSON(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func publicDER(key *Key) ([]byte, error) { return x509.MarshalPKIXPublicKey(key.private.Public()) }

func publicPEM(key *Key) ([]byte, error) {
	der, err := publicDER(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func otherKey(byItsID bool) mutation {
	return func(d *tokenBuilder, k testKeys) {
		d.header["alg"], d.sign = k.otherAlgorithm.method.Alg(), signWith(k.otherAlgorithm)
		if byItsID {
			d.header["kid"] = k.otherAlgorithm.id
		}
	}
}

// inDER encodes an ECDSA signature as X.509 does instead of RFC 7518, section 3.4, and truncates one of Ed25519.
func inDER(sign func(string) []byte, key *Key) func(string) []byte {
	return func(text string) []byte {
		signature := sign(text)
		if _, isECDSA := key.private.(*ecdsa.PrivateKey); !isECDSA {
			return signature[:63]
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			panic(err)
		}
		return der
	}
}

// spareBits sets the unused bits of the last character: 64 bytes leave four.
func spareBits(encoded string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(encoded) - 1
	return encoded[:last] + alphabet[strings.IndexByte(alphabet, encoded[last])+1:][:1]
}

func withLineBreak(raw []byte) string { return encode(raw)[:10] + "\r\n" + encode(raw)[10:] }

// otherAlphabet encodes a payload that differs in both alphabets: _ in the one, / in the other.
func otherAlphabet(e *base64.Encoding) mutation {
	return func(d *tokenBuilder, _ testKeys) {
		d.claims["extra"] = "?????"
		d.encode[1] = e.EncodeToString
	}
}

func jsonSerialization(token string) string {
	parts := strings.Split(token, ".")
	return mustJSON(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
}

// If another service has the same audience, only the scope distinguishes its tokens.
// Requirement: ASVS-9.2.1
func TestKeys_Verify_scope(t *testing.T) {
	k := newTestKeys(t, domain.SigningES256)
	want := expected
	want.Scope = domain.ScopeAccount
	for scope, err := range map[any]error{
		"account": nil, "openid account email": nil,
		"": domain.ErrAccessTokenInvalid, " ": domain.ErrAccessTokenInvalid, "Account": domain.ErrAccessTokenInvalid, "accounts": domain.ErrAccessTokenInvalid,
		"account,email": domain.ErrAccessTokenInvalid, "\taccount": domain.ErrAccessTokenInvalid, 1: domain.ErrAccessTokenInvalid, true: domain.ErrAccessTokenInvalid,
	} {
		d := newTokenBuilder(k.own)
		d.claims["scope"] = scope
		if _, got := New().Verify(d.token(t), k.known(), want); got != err {
			t.Errorf("scope %q: %v, want %v", scope, got, err)
		}
	}
	for name, scope := range map[string]any{"a list": []string{"account"}, "null": nil} {
		d := newTokenBuilder(k.own)
		d.claims["scope"] = scope
		if _, err := New().Verify(d.token(t), k.known(), want); err != domain.ErrAccessTokenInvalid {
			t.Errorf("scope as %s: %v", name, err)
		}
	}
	if _, err := New().Verify(newTokenBuilder(k.own).token(t), k.known(), want); err != domain.ErrAccessTokenInvalid {
		t.Errorf("without scope: %v", err)
	}
}
