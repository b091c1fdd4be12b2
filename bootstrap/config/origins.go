package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

var (
	// domainName may have one label, as a host on an intranet has. A browser takes such a name as an RP id if it is the
	// host of the page itself (HTML, "is a registrable domain suffix of or is equal to").
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostName     = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

// isDomain reports whether passkeys can belong to a name. One that ends in a number is an IP address or none (URL
// Standard, ends-in-a-number checker).
func isDomain(s string) bool {
	return len(s) <= 253 && domainName.MatchString(s) && !endsInNumber.MatchString(s)
}

const noPasskeysOnIP = "passkeys do not work on a bare IP address (WebAuthn, 5.1.3)"

// webOrigin returns the origin of a web address as browsers serialise it (RFC 6454, section 6.2): host in lower case and
// ASCII, port unless it is the scheme's own, nothing else. What is no address of a page is returned as a problem and its fix.
func webOrigin(s string) (origin, problem, fix string) {
	const form = "write scheme and host, such as https://app.example.org"
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "*"):
		return "", "origins are compared letter for letter, and a * stands for nothing", "name each origin: https://a.example.org,https://b.example.org"
	case s == "null":
		return "", `it is what browsers send for pages without an origin, so it could be any page`, "remove it, and serve the page from an https address"
	case err != nil || u.Hostname() == "" || u.Scheme == "":
		return "", "it is not a web address", form
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	port := u.Port()
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	_, notIP := netip.ParseAddr(host)
	n, badPort := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Sprintf("it begins with %q", u.Scheme), "use https://, or http:// on localhost; an app or an extension that calls the API belongs in KEYLODGE_APP_ORIGINS"
	case notIP == nil, endsInNumber.MatchString(host):
		return "", noPasskeysOnIP, "use a name; on this machine http://localhost"
	case !hostName.MatchString(host) || len(host) > 253:
		return "", fmt.Sprintf("%q is not the name of a host", host), form
	case port != "" && (badPort != nil || n == 0):
		return "", fmt.Sprintf("%q is not a port", port), "write a port from 1 to 65535, or none"
	}
	origin = u.Scheme + "://" + host
	if port != "" {
		origin += ":" + strconv.FormatUint(n, 10)
	}
	if u.Scheme == "http" && !IsLocalhost(host) {
		return "", "browsers allow passkeys over plain http on localhost only", "use https://" + strings.TrimPrefix(origin, "http://")
	}
	return origin, "", ""
}

func IsLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// redactUserinfo is an address as a fault quotes it: without a user name and a password.
func redactUserinfo(s string) string {
	if u, err := url.Parse(s); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return s
}

const apkKeyHash = "android:apk-key-hash:"

// origins reads the origins beside the public one, which comes first.
func (c *settingsParser) origins(publicURL, s string) []string {
	origins := []string{publicURL}
	for _, item := range splitList(s) {
		if c.validOrigin(item) && !slices.Contains(origins, item) {
			origins = append(origins, item)
		}
	}
	return origins
}

func (c *settingsParser) validOrigin(s string) bool {
	if strings.HasPrefix(s, "android:") {
		return c.validAndroidOrigin(s)
	}
	origin, problem, fix := webOrigin(s)
	switch {
	case problem != "":
		c.addError("ORIGINS", fmt.Sprintf("%q: %s", redactUserinfo(s), problem), fix)
	case origin != s:
		c.addError("ORIGINS", fmt.Sprintf("%q is not how a browser writes that origin", redactUserinfo(s)), "write "+origin)
	default:
		return true
	}
	return false
}

// validAndroidOrigin takes the SHA-256 of an app's signing certificate in base64url, the one form that Android sends.
func (c *settingsParser) validAndroidOrigin(s string) bool {
	hash, _ := strings.CutPrefix(s, apkKeyHash)
	digest, err := base64.RawURLEncoding.Strict().DecodeString(hash)
	if err == nil && len(digest) == 32 && s == apkOrigin(digest) {
		return true
	}
	fix := "write android:apk-key-hash: and the certificate's SHA-256 in base64url (43 characters)"
	plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(hash, "="))
	for _, decode := range []func() ([]byte, error){
		func() ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(hash, ":", "")) },
		func() ([]byte, error) { return base64.RawURLEncoding.DecodeString(plain) },
	} {
		if digest, err := decode(); err == nil && len(digest) == 32 {
			fix = "write " + apkOrigin(digest)
			break
		}
	}
	c.addError("ORIGINS", fmt.Sprintf("%q is not how Android writes the origin of an app", s), fix)
	return false
}

// requireUsableOrigins requires that pages on an origin can use passkeys of the RP id: those on its domain, and those that browsers take
// from the list of related origins (WebAuthn Level 3, section 5.11.1), which are https and have a registrable domain.
func (c *settingsParser) requireUsableOrigins(rpID string, origins []string) {
	for _, origin := range origins[1:] {
		host := HostOf(origin)
		if host == "" || IsSameOrSubdomain(host, rpID) || IsLocalhost(rpID) {
			continue
		}
		if _, err := publicsuffix.EffectiveTLDPlusOne(host); err != nil || strings.HasPrefix(origin, "http:") {
			c.addError("ORIGINS", fmt.Sprintf("%q is not on %s or below it, and browsers take no such name for a related origin: no page there can use these passkeys", origin, rpID),
				"remove it, or give it a Keylodge of its own; an app that calls the API with tokens belongs in KEYLODGE_APP_ORIGINS")
		}
	}
}

// Origins of browser extensions, as browsers write them into client data, and of apps in web views.
var (
	extensionOrigin = regexp.MustCompile(`^(chrome-extension://[a-p]{32}|moz-extension://([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}))$`)
	safariOrigin    = regexp.MustCompile(`^safari-web-extension://[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	webViewOrigin   = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:[1-9][0-9]{0,4})?$`)
)

// nonAppSchemes are schemes whose pages have no origin, or not one of an app.
var nonAppSchemes = []string{"about", "android", "blob", "chrome", "data", "edge", "file", "filesystem", "ftp", "javascript", "resource", "view-source", "ws", "wss"}

// appOrigins reads the origins of apps in web views and of browser extensions, which call the API with tokens alone.
func (c *settingsParser) appOrigins(origins []string, s string) []string {
	const form = "write capacitor://localhost, tauri://localhost, http://localhost, chrome-extension:// and 32 letters from a to p, moz-extension:// and its id, or the like"
	var apps []string
	for _, item := range splitList(s) {
		fault := func(problem, fix string) {
			c.addError("APP_ORIGINS", fmt.Sprintf("%q: %s", redactUserinfo(item), problem), fix)
		}
		scheme, _, _ := strings.Cut(item, ":")
		switch {
		case slices.Contains(origins, item):
			fault("it is an allowed origin with cookies as well", "remove it here, or from KEYLODGE_ORIGINS")
			continue
		case scheme == "https" || scheme == "http":
			origin, problem, fix := webOrigin(item)
			switch {
			case problem != "":
				fault(problem, fix)
				continue
			case !IsLocalhost(HostOf(origin)):
				fault("it is the origin of a web site", "write it into KEYLODGE_ORIGINS")
				continue
			case origin != item:
				fault("it is not how a browser writes that origin", "write "+origin)
				continue
			}
		case strings.HasSuffix(scheme, "-extension"):
			if !extensionOrigin.MatchString(item) && !safariOrigin.MatchString(item) {
				fault("it is not how a browser writes the origin of an extension", form)
				continue
			}
		case slices.Contains(nonAppSchemes, scheme) || !webViewOrigin.MatchString(item):
			fault("it is not the origin of an app", form)
			continue
		}
		if !slices.Contains(apps, item) {
			apps = append(apps, item)
		}
	}
	return apps
}

// CeremonyOrigins are the origins that client data may name: pages, Android apps, and extensions, which Chrome (122) and
// Firefox (150) let use passkeys of the hosts that they have permissions for. In a web view passkeys are used by the app
// around it, under the origin of the app.
func (c Config) CeremonyOrigins() []string {
	origins := slices.Clone(c.Origins)
	for _, origin := range c.AppOrigins {
		if extensionOrigin.MatchString(origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

func HostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func IsSameOrSubdomain(host, rpID string) bool {
	return host == rpID || strings.HasSuffix(host, "."+rpID)
}

// isPublicSuffix goes by the list that came with this program; names that were added to it since are not known.
func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

// registrableLabel is the name that somebody registered, without what it is registered under: example of www.example.co.uk.
func registrableLabel(host string) string {
	registrable, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	label, _, _ := strings.Cut(registrable, ".")
	return label
}

func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
