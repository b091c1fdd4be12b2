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
		return ports.TOTPKey{}, fmt.Errorf("drawing a TOTP secret: %w", err)
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

// uri is written here, since the library's loses what follows an ampersand in the issuer's name. It leaves nothing to guess
// for apps that take a plus for a space or a slash for the end of the path before.
func (c *Codes) uri(account, secret string) string {
	parameters := url.Values{
		"secret": {secret}, "issuer": {c.issuer},
		"algorithm": {algorithm.String()}, "digits": {digits.String()}, "period": {strconv.Itoa(period)},
	}
	form := "otpauth://totp/" + url.QueryEscape(c.issuer) + ":" + url.QueryEscape(account) + "?" + parameters.Encode()
	return strings.ReplaceAll(form, "+", "%20")
}

// withoutColons keeps a label in one piece: the first colon in it ends the issuer, escaped or not, and neither name may
// hold one (Key Uri Format of Google Authenticator). The ratio sign looks the same.
func withoutColons(name string) string { return strings.ReplaceAll(name, ":", "∶") }
