package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/keylodge/keylodge/adapters/httpapi"
)

// MaxRelatedLabels is the number of labels of related origins that every browser accepts (WebAuthn Level 3, section 5.11.1).
const MaxRelatedLabels = 5

// wellKnown reads the apps that may use the passkeys of this site and the page for /.well-known/change-password. It checks the
// apps against the origins, which must have been read.
func (p *parser) wellKnown(config *Config, e environment) {
	config.WellKnown = httpapi.WellKnown{
		AndroidApps:    p.androidApps(e.AndroidApps, config.Origins),
		AppleApps:      p.appleApps(e.AppleApps, config),
		ChangePassword: p.changePassword(e.ChangePasswordURL, config.PublicURL),
	}
}

// RelatedOrigins returns the web origins that are not on the domain of the RP ID. Browsers look them up in
// /.well-known/webauthn.
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

// RelatedLabels returns the distinct labels of the related origins, which browsers count.
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

// androidApps reads PACKAGE=FINGERPRINT items. An app with several certificates has several items.
func (p *parser) androidApps(s string, origins []string) []httpapi.AndroidApp {
	const form = "write PACKAGE=FINGERPRINT, for example org.example.app=AB:CD:…; the fingerprint is the SHA-256 of the signing certificate: " +
		"keytool -list -v prints it, and Play Console shows it under App signing"
	var apps []httpapi.AndroidApp
	for _, item := range splitList(s) {
		name, fingerprint, _ := strings.Cut(item, "=")
		digest, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
		switch {
		case !packageName.MatchString(name):
			p.addError("ANDROID_APPS", fmt.Sprintf("%q does not begin with a package name", item), form)
			continue
		case err != nil || len(digest) != sha256.Size:
			p.addError("ANDROID_APPS", fmt.Sprintf("%s has no SHA-256 fingerprint", name), form)
			continue
		}
		if origin := apkOrigin(digest); !slices.Contains(origins, origin) {
			p.addError("ANDROID_APPS", fmt.Sprintf("%s may use the passkeys of this site, but its origin is not allowed", name), "add "+origin+" to KEYLODGE_ORIGINS")
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

// apkOrigin returns the origin that Android writes into client data, from the SHA-256 of the app's certificate.
func apkOrigin(digest []byte) string {
	return apkKeyHash + base64.RawURLEncoding.EncodeToString(digest)
}

// formatFingerprint returns a digest in the form of Digital Asset Links.
func formatFingerprint(digest []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", digest), " ", ":")
}

var appleApp = regexp.MustCompile(`^[A-Z0-9]{10}(\.[A-Za-z0-9-]+)+$`)

// appleApps reads app ids. Apple writes https:// and the RP ID into client data, so this origin must be allowed.
func (p *parser) appleApps(s string, config *Config) []string {
	var apps []string
	for _, app := range splitList(s) {
		switch {
		case !appleApp.MatchString(app):
			p.addError("APPLE_APPS", fmt.Sprintf("%q is not the id of an app", app), "write TEAMID.BUNDLE, for example A1B2C3D4E5.org.example.app; the team id has ten letters and digits")
		case !slices.Contains(apps, app):
			apps = append(apps, app)
		}
	}
	if origin := "https://" + config.RPID; len(apps) > 0 && config.RPID != "" && !slices.Contains(config.Origins, origin) {
		p.addError("APPLE_APPS", fmt.Sprintf("%s may use the passkeys of this site, but the origin of such apps, %s, is not allowed", strings.Join(apps, ", "), origin), "add "+origin+" to KEYLODGE_ORIGINS")
	}
	return apps
}

// changePassword reads a path on this server or a URL.
func (p *parser) changePassword(s, publicURL string) string {
	const fix = "write the https URL of a page, or / for the page of this server"
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(s, "/") {
		if publicURL == "" { // its own error is reported
			return s
		}
		s = publicURL + s
		u, err = url.Parse(s)
	}
	if err != nil || u.User != nil || u.Hostname() == "" {
		p.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q is not a web URL", redactUserinfo(s)), fix)
		return s
	}
	origin, problem, _ := webOrigin(s)
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLocalhost(u.Hostname())):
		p.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q is not https", s), fix)
	case problem != "" && !isIPAddress(u.Hostname()):
		p.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q: %s", s, problem), fix)
	case origin == publicURL && path.Clean(u.Path) == httpapi.ChangePasswordPath:
		p.addError("CHANGE_PASSWORD_URL", fmt.Sprintf("%q redirects to itself", s), fix)
	}
	return s
}

// OwnsSubdomains reports whether all subdomains of the public URL's host belong to this server. It assumes so if the host is itself
// a subdomain of a registrable domain, such as id.example.org; example.org has other servers under it.
func (c Config) OwnsSubdomains() bool {
	host := HostOf(c.PublicURL)
	registered, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err == nil && registered != host
}

// AndroidFingerprint returns the fingerprint of the certificate in the origin of an Android app, "" for another origin.
func AndroidFingerprint(origin string) string {
	digest, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(origin, apkKeyHash))
	if err != nil || !strings.HasPrefix(origin, apkKeyHash) {
		return ""
	}
	return formatFingerprint(digest)
}
