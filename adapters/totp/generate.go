package totp

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Generate implements ports.TOTPCodes.
func (c *Codes) Generate(account string) (ports.TOTPKey, error) {
	secret := newSecret()
	uri := c.uri(withoutColons(account), secret)
	image, err := qrCode(uri)
	if err != nil {
		return ports.TOTPKey{}, fmt.Errorf("generating a TOTP secret: %w", err)
	}
	return ports.TOTPKey{Secret: domain.NewSecret(secret), URI: domain.NewSecret(uri), QR: image}, nil
}

// DecoySecret implements ports.TOTPCodes.
func (c *Codes) DecoySecret() domain.Secret { return domain.NewSecret(newSecret()) }

func newSecret() string {
	var raw [secretSize]byte
	rand.Read(raw[:])
	return base32.StdEncoding.EncodeToString(raw[:])
}

// uri replaces the library's function, which truncates an issuer's name at an ampersand. It escapes every character that apps
// interpret differently, such as a plus or a slash.
func (c *Codes) uri(account, secret string) string {
	parameters := url.Values{
		"secret": {secret}, "issuer": {c.issuer},
		"algorithm": {algorithm.String()}, "digits": {digits.String()}, "period": {strconv.Itoa(period)},
	}
	form := "otpauth://totp/" + url.QueryEscape(c.issuer) + ":" + url.QueryEscape(account) + "?" + parameters.Encode()
	return strings.ReplaceAll(form, "+", "%20")
}

// withoutColons replaces colons by ratio signs, which look the same. The first colon of a label, escaped or not, ends the issuer,
// and neither name may contain one (Key Uri Format of Google Authenticator).
func withoutColons(name string) string { return strings.ReplaceAll(name, ":", "∶") }
