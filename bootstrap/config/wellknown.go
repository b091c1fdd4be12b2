package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/keylodge/keylodge/adapters/httpapi"
)

// MaxRelatedLabels is how many names every browser takes from a list of related origins (WebAuthn Level 3, section 5.11.1).
const MaxRelatedLabels = 5

// wellKnown reads who else may use the passkeys of this site, which others look for at /.well-known/. It comes after the
// origins, which it is checked against.
func (c *settingsParser) wellKnown(config *Config, e environment) {
	config.WellKnown = httpapi.WellKnown{
		AndroidApps:    c.androidApps(e.AndroidApps, config.Origins),
		AppleApps:      c.appleApps(e.AppleApps, config),
		ChangePassword: c.changePassword(e.ChangePasswordURL, config.PublicURL),
	}
}

// RelatedOrigins are the web origins beside the public one that are not on the RP id's domain. The others need no list.
func (c Config) RelatedOrigins() []string {
	var related []string
	for _, origin := range c.Origins {
		if origin == c.PublicURL {
			continue
		}
		if host := HostOf(origin); strings.HasPrefix(origin, "https://") && !IsSameOrSubdomain(host, c.RPID) {
			related = append(related, origin)
		}
	}
	return related
}

// RelatedLabels are the names among the related origins, as browsers count them.
func (c Config) RelatedLabels() []string {
	var labels []string
	for _, origin := range c.RelatedOrigins() {
		if label := registrableLabel(HostOf(origin)); !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	return labels
}

var packageName = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)+$`)

// androidApps takes each app with a certificate, and one with several several times.
func (c *settingsParser) androidApps(s string, origins []string) []httpapi.AndroidApp {
	const form = "write PACKAGE=FINGERPRINT, such as org.example.app=AB:CD:…, where the fingerprint is the SHA-256 of the signing certificate: " +
		"keytool -list -v shows it, and Play Console under App signing"
	var apps []httpapi.AndroidApp
	for _, item := range splitList(s) {
		name, fingerprint, _ := strings.Cut(item, "=")
		digest, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
		switch {
		case !packageName.MatchString(name):
			c.addError("ANDROID_APPS", fmt.Sprintf("%q does not begin with the name of a package", item), form)
			continue
		case err != nil || len(digest) != sha256.Size:
			c.addError("ANDROID_APPS", fmt.Sprintf("what stands behind %s is no SHA-256 fingerprint", name), form)
			continue
		}
		if origin := apkOrigin(digest); !slices.Contains(origins, origin) {
			c.addError("ANDROID_APPS", fmt.Sprintf("%s may use the passkeys of this site, and its origin may not call it", name), "add "+origin+" to KEYLODGE_ORIGINS")
		}
		at := slices.IndexFunc(apps, func(app httpapi.AndroidApp) bool { return app.Package == name })
		if at < 0 {
			at, apps = len(apps), append(apps, httpapi.AndroidApp{Package: name})
		}
		if written := formatFingerprint(digest); !slices.Contains(apps[at].Fingerprints, written) {
			apps[at].Fingerprints = append(apps[at].Fingerprints, written)
		}
	}
	return apps
}

// apkOrigin is the origin that Android gives an app in its ceremonies: the same digest, written in another way.
func apkOrigin(digest []byte) string {
	return apkKeyHash + base64.RawURLEncoding.EncodeToString(digest)
}

// formatFingerprint is a digest as Digital Asset Links want it.
func formatFingerprint(digest []byte) string {
	pairs := make([]string, len(digest))
	for i, b := range digest {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

var appleApp = regexp.MustCompile(`^[A-Z0-9]{10}(\.[A-Za-z0-9-]+)+$`)

// appleApps takes apps whose ceremonies can succeed: Apple's client data name https and the RP id as their origin.
func (c *settingsParser) appleApps(s string, config *Config) []string {
	var apps []string
	for _, app := range splitList(s) {
		switch {
		case !appleApp.MatchString(app):
			c.addError("APPLE_APPS", fmt.Sprintf("%q is not the id of an app", app), "write TEAMID.BUNDLE, such as A1B2C3D4E5.org.example.app; the team's id has ten letters and digits")
		case !slices.Contains(apps, app):
			apps = append(apps, app)
		}
	}
	if origin := "https://" + config.RPID; len(apps) > 0 && config.RPID != "" && !slices.Contains(config.Origins, origin) {
		c.addError("APPLE_APPS", fmt.Sprintf("%s may use the passkeys of this site, and the origin of such an app, %s, may not call it", strings.Join(apps, ", "), origin), "add "+origin+" to KEYLODGE_ORIGINS")
	}
	return apps
}

// changePassword takes an address on this server, from its slash on, or a whole one.
func (c *settingsParser) changePassword(s, publicURL string) string {
	const fix = "write the https address of a page, or / for this server's own"
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.User != nil:
		c.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q is not a web address", s), fix)
	case u.Host == "" && u.Scheme == "" && strings.HasPrefix(s, "/"):
		return publicURL + s
	case u.Hostname() == "":
		c.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q is not a web address", s), fix)
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLocalhost(u.Hostname())):
		c.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q is not https", s), fix)
	}
	return s
}

// OwnsSubdomains reports whether nothing but this server's own can have a name below its host: below a name that somebody
// registered, a name such as id.example.org is given to one thing, and example.org itself to many.
func (c Config) OwnsSubdomains() bool {
	host := HostOf(c.PublicURL)
	registered, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err == nil && registered != host
}

// AndroidFingerprint writes the digest in the origin of an Android app as a fingerprint. It returns "" for other origins.
func AndroidFingerprint(origin string) string {
	digest, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(origin, apkKeyHash))
	if err != nil || !strings.HasPrefix(origin, apkKeyHash) {
		return ""
	}
	return formatFingerprint(digest)
}
