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
	// domainName also matches one label, as hosts on intranets have. Browsers accept it as an RP ID if it equals the host of the
	// page (HTML, "is a registrable domain suffix of or is equal to").
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostName     = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

// isDomain reports whether a name can be an RP ID. A name that ends in a number is an IP address or invalid (URL Standard,
// ends-in-a-number checker).
func isDomain(s string) bool {
	return len(s) <= 253 && domainName.MatchString(s) && !endsInNumber.MatchString(s)
}

// domainToASCII converts a host as browsers do (URL Standard, section 3.3, domain to ASCII). It returns an error for a host that no
// browser opens, for example one with an invalid Punycode label.
var domainToASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false))

// Parts of fixes that publicURL replaces.
const (
	originForm    = "write scheme and host, for example https://app.example.org"
	appOriginHint = "; the origin of an app or an extension that calls the API belongs in KEYLODGE_APP_ORIGINS"
)

// webOrigin returns the origin of a URL as browsers serialise it (RFC 6454, section 6.2): the host in lower case and ASCII, the
// port unless it is the scheme's default. It returns a problem and its fix if passkeys cannot be used at the URL.
func webOrigin(s string) (origin, problem, fix string) {
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "*"):
		return "", "origins are compared byte for byte, and * is no wildcard", "list each origin: https://a.example.org,https://b.example.org"
	case s == "null":
		return "", "browsers send it for every page without an origin", "remove it, and serve the page from an https URL"
	case err != nil || u.Hostname() == "" || u.Scheme == "":
		return "", "not a web URL", originForm
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ascii, hostErr := domainToASCII.ToASCII(host)
	if hostErr == nil {
		host = ascii
	}
	_, ipErr := netip.ParseAddr(host)
	n, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Sprintf("the scheme is %q", u.Scheme), "use https://, or http:// on localhost" + appOriginHint
	case ipErr == nil, endsInNumber.MatchString(host):
		return "", "passkeys do not work on an IP address (WebAuthn Level 3, section 5.1.3)", "use a domain name; on this machine http://localhost"
	case hostErr != nil, !hostName.MatchString(host) || len(host) > 253:
		return "", fmt.Sprintf("%q is not a host name", host), originForm
	case u.Port() != "" && (portErr != nil || n == 0):
		return "", fmt.Sprintf("%q is not a port", u.Port()), "write a port from 1 to 65535, or none"
	}
	origin = serializeOrigin(u.Scheme, host, n)
	if u.Scheme == "http" && !IsLocalhost(host) {
		return "", "browsers allow passkeys over plain http on localhost only", "use https://" + strings.TrimPrefix(origin, "http://")
	}
	return origin, "", ""
}

// serializeOrigin returns an origin without the scheme's default port. The port 0 is none.
func serializeOrigin(scheme, host string, port uint64) string {
	if port == 0 || scheme == "https" && port == 443 || scheme == "http" && port == 80 {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + strconv.FormatUint(port, 10)
}

// IsLocalhost reports whether a host is localhost or a subdomain of it.
func IsLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// redactUserinfo removes user name and password from a URL that an error quotes.
func redactUserinfo(s string) string {
	if u, err := url.Parse(s); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return s
}

const apkKeyHash = "android:apk-key-hash:"

// origins returns the public origin and the further ones.
func (p *parser) origins(publicURL, s string) []string {
	origins := []string{publicURL}
	for _, item := range splitList(s) {
		if p.validOrigin(item) && !slices.Contains(origins, item) {
			origins = append(origins, item)
		}
	}
	return origins
}

func (p *parser) validOrigin(s string) bool {
	if strings.HasPrefix(s, "android:") {
		return p.validAndroidOrigin(s)
	}
	origin, problem, fix := webOrigin(s)
	switch {
	case problem != "":
		p.addError("ORIGINS", fmt.Sprintf("%q: %s", redactUserinfo(s), problem), fix)
	case origin != s:
		p.addError("ORIGINS", fmt.Sprintf("%q: browsers write this origin differently", redactUserinfo(s)), "write "+origin)
	default:
		return true
	}
	return false
}

// validAndroidOrigin accepts the SHA-256 of an app's signing certificate in base64url only: the form that Android sends.
func (p *parser) validAndroidOrigin(s string) bool {
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
	p.addError("ORIGINS", fmt.Sprintf("%q: Android writes the origin of an app differently", s), fix)
	return false
}

// requireUsableOrigins requires that pages on each origin can use the passkeys of the RP ID: the origin is on its domain, or
// browsers accept it as a related origin (WebAuthn Level 3, section 5.11.1), which is https on a registrable domain.
func (p *parser) requireUsableOrigins(rpID string, origins []string) {
	for _, origin := range origins[1:] {
		host := HostOf(origin)
		if host == "" || IsSameOrSubdomain(host, rpID) || IsLocalhost(rpID) {
			continue
		}
		if _, err := publicsuffix.EffectiveTLDPlusOne(host); err != nil || strings.HasPrefix(origin, "http:") {
			p.addError("ORIGINS", fmt.Sprintf("%q is not on %s or a subdomain, and browsers do not accept it as a related origin: its pages cannot use these passkeys", origin, rpID),
				"remove it, or run a separate Keylodge for it; the origin of an app that calls the API with tokens belongs in KEYLODGE_APP_ORIGINS")
		}
	}
}

// The origins of browser extensions as browsers write them into client data, and of apps in web views.
var (
	extensionOrigin = regexp.MustCompile(`^(chrome-extension://[a-p]{32}|moz-extension://([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}))$`)
	safariOrigin    = regexp.MustCompile(`^safari-web-extension://[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	webViewOrigin   = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:([1-9][0-9]{0,4}))?$`)
)

// nonAppSchemes are the schemes of pages without an origin, or with one that no app has.
var nonAppSchemes = []string{"about", "android", "blob", "chrome", "data", "edge", "file", "filesystem", "ftp", "javascript", "resource", "view-source", "ws", "wss"}

// appOrigins reads the origins of apps in web views and of browser extensions, which call the API with tokens only.
func (p *parser) appOrigins(origins []string, s string) []string {
	var apps []string
	for _, item := range splitList(s) {
		if problem, fix := appOriginProblem(item, origins); problem != "" {
			p.addError("APP_ORIGINS", fmt.Sprintf("%q: %s", redactUserinfo(item), problem), fix)
		} else if !slices.Contains(apps, item) {
			apps = append(apps, item)
		}
	}
	return apps
}

// appOriginProblem returns why an origin cannot be one of an app, and the fix. It returns "" if it can.
func appOriginProblem(s string, origins []string) (problem, fix string) {
	const form = "write for example capacitor://localhost, tauri://localhost, http://localhost, chrome-extension:// with 32 characters from a to p, or moz-extension:// with its id"
	scheme, _, _ := strings.Cut(s, ":")
	switch {
	case slices.Contains(origins, s):
		return "also an allowed origin with cookies", "remove it here or from KEYLODGE_ORIGINS"
	case scheme == "https" || scheme == "http":
		origin, problem, fix := webOrigin(s)
		switch {
		case problem != "":
			return problem, fix
		case !IsLocalhost(HostOf(origin)):
			return "the origin of a website", "move it to KEYLODGE_ORIGINS"
		case origin != s:
			return "browsers write this origin differently", "write " + origin
		}
	case strings.HasSuffix(scheme, "-extension"):
		if !extensionOrigin.MatchString(s) && !safariOrigin.MatchString(s) {
			return "not the origin of an extension, as browsers write it", form
		}
	case slices.Contains(nonAppSchemes, scheme) || !isWebViewOrigin(s):
		return "not the origin of an app", form
	}
	return "", ""
}

func isWebViewOrigin(s string) bool {
	parts := webViewOrigin.FindStringSubmatch(s)
	return len(parts) == 5 && (parts[4] == "" || isPort(parts[4]))
}

// CeremonyOrigins returns the origins that client data may contain: those of pages, of Android apps, and of extensions, which
// Chrome 122 and Firefox 150 allow to use passkeys of the hosts that they have permissions for. It does not return those of web
// views, where the surrounding app uses passkeys under its own origin.
func (c Config) CeremonyOrigins() []string {
	origins := slices.Clone(c.Origins)
	for _, origin := range c.AppOrigins {
		if extensionOrigin.MatchString(origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

// HostOf returns the host of an origin without its port, "" if there is none.
func HostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// IsSameOrSubdomain reports whether a host may use passkeys of an RP ID: it equals the RP ID or is a subdomain of it.
func IsSameOrSubdomain(host, rpID string) bool {
	return host == rpID || strings.HasSuffix(host, "."+rpID)
}

// isPublicSuffix reports whether a domain is in the public suffix list of the golang.org/x/net release that this program is built
// with.
func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

// registrableLabel returns the label of a host that is registered, without the public suffix: example of www.example.co.uk.
func registrableLabel(host string) string {
	registrable, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	label, _, _ := strings.Cut(registrable, ".")
	return label
}

// IsLoopback reports whether a host is localhost or a loopback address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
