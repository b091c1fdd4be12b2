package bootstrap

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// relyingParty checks the public address, the RP id and the origins against each other. Passkeys are made for an RP id and
// work with no other: a mistake here shows itself only in people's browsers, and later than it can be mended.
func (c *checker) relyingParty(config *Config, e environment) {
	before := len(c.faults)
	config.PublicURL = c.publicURL(e)
	config.RPID = e.RPID
	if e.RPID == "" {
		config.RPID = hostOf(config.PublicURL)
	}
	config.Origins = c.origins(config.PublicURL, e.Origins)
	config.AppOrigins = c.appOrigins(config.Origins, e.AppOrigins)
	if config.PublicURL == "" {
		return
	}
	if c.rpID(config, e.RPID != "") && len(c.faults) == before {
		c.usable(config.RPID, config.Origins)
	}
}

// publicURL returns the origin of the public address, or "" after a fault.
func (c *checker) publicURL(e environment) string {
	if e.PublicURL == "" {
		return defaultPublicURL(e.Listen)
	}
	const fix = "write the address that people see, such as https://id.example.org"
	shown := fmt.Sprintf("%q: ", printable(e.PublicURL))
	u, err := url.Parse(e.PublicURL)
	if err == nil && u.Host != "" && (u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "") {
		c.fault("PUBLIC_URL", shown+"it holds more than scheme, host and port", fix)
		return ""
	}
	origin, problem, how := webOrigin(e.PublicURL)
	switch {
	case problem != "":
		c.fault("PUBLIC_URL", shown+problem, strings.NewReplacer("write scheme and host, such as https://app.example.org", fix,
			"; an app or an extension that calls the API belongs in KEYLODGE_APP_ORIGINS", "").Replace(how))
		return ""
	case hostOf(origin) != strings.ToLower(u.Hostname()) || strings.HasSuffix(u.Host, ":"):
		c.fault("PUBLIC_URL", shown+"it is not how a browser writes that address", "write "+origin)
		return ""
	}
	return origin
}

// rpID checks the RP id, which is that of the settings if it is given, else the host of the public address. It reports
// whether it can be used.
func (c *checker) rpID(config *Config, isGiven bool) bool {
	id, host := config.RPID, hostOf(config.PublicURL)
	within := func(origin string) bool { return belongs(hostOf(origin), id) }
	switch {
	case !isGiven && !isDomain(id):
		c.fault("PUBLIC_URL", fmt.Sprintf("%q: %q is not a domain name, and passkeys belong to one", config.PublicURL, id), "use a name of letters, digits and hyphens")
	case !isDomain(id):
		c.fault("RP_ID", fmt.Sprintf("%q is not a domain name", id), "write a name such as example.org, in lower case, without scheme or port")
	case !slices.ContainsFunc(config.Origins, within):
		c.fault("RP_ID", fmt.Sprintf("no origin belongs to %q: none of %s is on it or below it, so no browser would make a passkey", id, strings.Join(config.Origins, ", ")),
			"use the host of KEYLODGE_PUBLIC_URL or a parent domain of it, or leave it unset")
	case isGiven && id != host && isPublicSuffix(id):
		c.fault("RP_ID", fmt.Sprintf("%q is a domain under which anybody may have a name (a public suffix), and browsers make no passkeys for it", id),
			"write "+host+", or the domain that is yours")
	default:
		return true
	}
	return false
}

// abandoned names RP ids, so that what was meant for one change cannot let another one pass.
func (c *checker) abandoned(present, s string) []string {
	ids := list(s)
	for _, id := range ids {
		switch {
		case id == present && present != "":
			c.fault("ABANDONED_RP_IDS", fmt.Sprintf("%q is the RP id of this server", id), "take it out: its passkeys are wanted")
		case !isDomain(id):
			c.fault("ABANDONED_RP_IDS", fmt.Sprintf("%q is not a domain name", id), "write former RP ids separated by commas, such as old.example.org")
		}
	}
	return ids
}
