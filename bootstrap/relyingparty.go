package bootstrap

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// relyingParty checks the public address, the RP id and the origins against each other. Passkeys are made for an RP id and
// work with no other: a mistake here shows itself only in people's browsers, and later than it can be mended.
func (c *checker) relyingParty(config *Config, publicURL, rpID, origins string) {
	host := c.publicURL(config, publicURL)
	config.RPID = rpID
	if rpID == "" {
		config.RPID = host
	}
	config.Origins = []string{config.PublicURL}
	for _, origin := range list(origins) {
		if c.origin(origin) && !slices.Contains(config.Origins, origin) {
			config.Origins = append(config.Origins, origin)
		}
	}
	if config.RPID != "" {
		c.rpID(config.RPID, config.Origins)
	}
}

func (c *checker) publicURL(config *Config, s string) (host string) {
	const fix = "write the address that people see, such as https://id.example.org"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		c.fault("PUBLIC_URL", fmt.Sprintf("%q is not a web address", s), fix)
		return ""
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		c.fault("PUBLIC_URL", "it holds more than scheme, host and port", fix)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		c.fault("PUBLIC_URL", "passkeys do not work on a bare IP address (WebAuthn, 5.1.3)", "use a name; on this machine http://localhost")
		return ""
	}
	config.PublicURL = originOf(u)
	c.requireSecure("PUBLIC_URL", u)
	return strings.ToLower(u.Hostname())
}

// originOf writes an origin as browsers do (RFC 6454, section 6.2): lower case, without the scheme's own port.
func originOf(u *url.URL) string {
	origin := strings.ToLower(u.Scheme + "://" + u.Host)
	if u.Scheme == "https" {
		return strings.TrimSuffix(origin, ":443")
	}
	return strings.TrimSuffix(origin, ":80")
}

func (c *checker) requireSecure(setting string, u *url.URL) {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLocalhost(u.Hostname()):
	case u.Scheme == "http":
		c.fault(setting, "browsers allow passkeys over plain http on localhost only", "use https://"+u.Host)
	default:
		c.fault(setting, fmt.Sprintf("it begins with %q", u.Scheme), "use https://, or http:// on localhost")
	}
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// androidOrigin is how an Android app signs its origin: the SHA-256 of its signing certificate, in base64url.
var androidOrigin = regexp.MustCompile(`^` + apkKeyHash + `[A-Za-z0-9_-]{43}$`)

const apkKeyHash = "android:apk-key-hash:"

func (c *checker) origin(s string) bool {
	before := len(c.faults)
	if strings.HasPrefix(s, "android:") {
		if !androidOrigin.MatchString(s) {
			c.fault("ORIGINS", fmt.Sprintf("%q is not the origin of an Android app", s), "write android:apk-key-hash: and the certificate's SHA-256 in base64url (43 characters)")
		}
		return len(c.faults) == before
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		c.fault("ORIGINS", fmt.Sprintf("%q is not an origin", s), "write origins separated by commas, such as https://app.example.org")
		return false
	}
	if canonical := originOf(u); canonical != s {
		c.fault("ORIGINS", fmt.Sprintf("%q is not how a browser writes that origin", s), "write "+canonical)
	}
	c.requireSecure("ORIGINS", u)
	return len(c.faults) == before
}

var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *checker) rpID(id string, origins []string) {
	if id != "localhost" && !domainName.MatchString(id) {
		c.fault("RP_ID", fmt.Sprintf("%q is not a domain name", id), "write a name such as example.org, without scheme or port")
		return
	}
	within := func(origin string) bool {
		u, err := url.Parse(origin)
		return err == nil && (u.Hostname() == id || strings.HasSuffix(u.Hostname(), "."+id))
	}
	if !slices.ContainsFunc(origins, within) {
		c.fault("RP_ID", fmt.Sprintf("no origin belongs to %q: none of %s is on it or below it, so no browser would make a passkey", id, strings.Join(origins, ", ")),
			"use the host of KEYLODGE_PUBLIC_URL or a parent domain of it, or leave it unset")
	}
}

// abandoned names RP ids, so that what was meant for one change cannot let another one pass.
func (c *checker) abandoned(present, s string) []string {
	ids := list(s)
	for _, id := range ids {
		switch {
		case id == present && present != "":
			c.fault("ABANDONED_RP_IDS", fmt.Sprintf("%q is the RP id of this server", id), "take it out: its passkeys are wanted")
		case id != "localhost" && !domainName.MatchString(id):
			c.fault("ABANDONED_RP_IDS", fmt.Sprintf("%q is not a domain name", id), "write former RP ids separated by commas, such as old.example.org")
		}
	}
	return ids
}
