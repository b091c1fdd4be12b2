package jwt

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestParsePEM_KeepsOrder(t *testing.T) {
	first, second, third := generate(t, domain.SigningEdDSA), generate(t, domain.SigningES256), generate(t, domain.SigningES256)
	sec1, err := x509.MarshalECPrivateKey(third.private.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	parameters := []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07} // the OID of P-256
	file := "The first one signs.\n" + block("PRIVATE KEY", pkcs8(t, first)) + "\n# before:\n" + block("PRIVATE KEY", pkcs8(t, second)) +
		block("EC PARAMETERS", parameters) + block("EC PRIVATE KEY", sec1)
	for _, text := range []string{file, strings.ReplaceAll(file, "\n", "\r\n")} {
		keys, err := ParsePEM([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, key := range keys {
			ids = append(ids, key.ID())
		}
		if want := []string{first.ID(), second.ID(), third.ID()}; !slices.Equal(ids, want) {
			t.Errorf("parsed %v, want %v", ids, want)
		}
	}
}

// Requirement: RFC8725-3.5
func TestParsePEM_ErrorsSayWhatToDo(t *testing.T) {
	key := generate(t, domain.SigningES256)
	good := block("PRIVATE KEY", pkcs8(t, key))
	public, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	another := block("PRIVATE KEY", pkcs8(t, generate(t, domain.SigningEdDSA)))
	withoutEnd, _, _ := strings.Cut(another, "-----END")
	legacy := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: pkcs8(t, key),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}}))

	files := map[string]struct{ file, want string }{
		"empty":                    {"", "no private key in PEM format; generate one with: openssl genpkey"},
		"a key in DER":             {string(pkcs8(t, key)), "no private key in PEM"},
		"parameters only":          {block("EC PARAMETERS", []byte{6, 0}), "no private key in PEM"},
		"encrypted PKCS #8":        {block("ENCRYPTED PRIVATE KEY", pkcs8(t, key)), "is encrypted; decrypt it with: openssl pkey"},
		"encrypted, legacy format": {legacy, "block 1 (EC PRIVATE KEY) is encrypted"},
		"a public key":             {good + block("PUBLIC KEY", public), "block 2 (PUBLIC KEY) is a public key"},
		"a certificate":            {good + block("CERTIFICATE", public), "block 2 (CERTIFICATE) is not a private key in PKCS #8 or SEC 1; remove it"},
		"an OpenSSH key":           {block("OPENSSH PRIVATE KEY", pkcs8(t, key)), "block 1 (OPENSSH PRIVATE KEY) is not a private key in PKCS #8"},
		"RSA in PKCS #1":           {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "block 1 (RSA PRIVATE KEY) is an RSA key"},
		"a truncated key":          {block("PRIVATE KEY", pkcs8(t, key)[:40]), "block 1 (PRIVATE KEY) is damaged"},
		"PKCS #8 labelled SEC 1":   {block("EC PRIVATE KEY", pkcs8(t, key)), "block 1 (EC PRIVATE KEY) is damaged"},
		"the same key twice":       {good + another + good, "blocks 1 and 3 are the same key; remove one of them"},
		"a damaged block":          {strings.Replace(another, "\n", "\n*", 1) + good, "1 of 2 PEM blocks are damaged"},
		"a block without its end":  {good + withoutEnd, "1 of 2 PEM blocks are damaged"},
		"indented":                 {"  " + good + another, "1 of 2 PEM blocks are damaged"},
		"a byte order mark":        {"\ufeff" + good + another, "1 of 2 PEM blocks are damaged"},
	}
	for name, other := range otherPrivateKeys(t) {
		files[name] = struct{ file, want string }{block("PRIVATE KEY", other.der), other.want}
	}
	for name, f := range files {
		keys, err := ParsePEM([]byte(f.file))
		if err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %d keys, %v\nwant %s", name, len(keys), err, f.want)
			continue
		}
		for rest := []byte(f.file); ; {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil {
				break
			}
			if encoded := base64.StdEncoding.EncodeToString(b.Bytes); len(encoded) > 8 && strings.Contains(err.Error(), encoded[8:16]) {
				t.Errorf("%s: the error contains the key: %v", name, err)
			}
		}
	}
}

type otherPrivateKey struct {
	der  []byte
	want string
}

// otherPrivateKeys returns keys in PKCS #8 of kinds that do not sign access tokens, with the expected errors.
func otherPrivateKeys(t *testing.T) map[string]otherPrivateKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const remedy = ", but access tokens are signed with P-256 (ES256) or Ed25519 (EdDSA)"
	keys := map[string]otherPrivateKey{}
	for problem, private := range map[string]any{"is an RSA key": rsaKey, "is an EC key on P-384": p384, "is a key of another kind": x25519} {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		keys[problem] = otherPrivateKey{der, problem + remedy}
	}
	return keys
}

func pkcs8(t *testing.T, key *Key) []byte {
	t.Helper()
	private, err := key.Private()
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
