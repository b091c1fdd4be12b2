package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// relyingParty checks the public address, the RP id and the origins against each other. Passkeys are made for an RP id and
// work with no other: a mistake here shows itself only in people's browsers, and later than it can be mended.
func (c *settingsParser) relyingParty(config *Config, e environment) {
	before := len(c.errs)
	config.PublicURL = c.publicURL(e)
	config.RPID = e.RPID
	if e.RPID == "" {
		config.RPID = HostOf(config.PublicURL)
	}
	config.Origins = c.origins(config.PublicURL, e.Origins)
	config.AppOrigins = c.appOrigins(config.Origins, e.AppOrigins)
	if config.PublicURL == "" {
		return
	}
	if c.validRPID(config, e.RPID != "") && len(c.errs) == before {
		c.requireUsableOrigins(config.RPID, config.Origins)
	}
}

// publicURL returns the origin of the public address, or "" after a fault.
func (c *settingsParser) publicURL(e environment) string {
	if e.PublicURL == "" {
		return defaultPublicURL(e.Listen)
	}
	const fix = "write the address that people see, such as https://id.example.org"
	shown := fmt.Sprintf("%q: ", redactUserinfo(e.PublicURL))
	u, err := url.Parse(e.PublicURL)
	if err == nil && u.Host != "" && (u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "") {
		c.addError("PUBLIC_URL", shown+"it holds more than scheme, host and port", fix)
		return ""
	}
	origin, problem, how := webOrigin(e.PublicURL)
	switch {
	case problem != "":
		c.addError("PUBLIC_URL", shown+problem, strings.NewReplacer("write scheme and host, such as https://app.example.org", fix,
			"; an app or an extension that calls the API belongs in KEYLODGE_APP_ORIGINS", "").Replace(how))
		return ""
	case HostOf(origin) != strings.ToLower(u.Hostname()) || strings.HasSuffix(u.Host, ":"):
		c.addError("PUBLIC_URL", shown+"it is not how a browser writes that address", "write "+origin)
		return ""
	}
	return origin
}

// validRPID checks the RP id, which is that of the settings if it is given, else the host of the public address. It reports
// whether it can be used.
func (c *settingsParser) validRPID(config *Config, isGiven bool) bool {
	id, host := config.RPID, HostOf(config.PublicURL)
	within := func(origin string) bool { return IsSameOrSubdomain(HostOf(origin), id) }
	switch {
	case !isGiven && !isDomain(id):
		c.addError("PUBLIC_URL", fmt.Sprintf("%q: %q is not a domain name, and passkeys belong to one", config.PublicURL, id), "use a name of letters, digits and hyphens")
	case !isDomain(id):
		c.addError("RP_ID", fmt.Sprintf("%q is not a domain name", id), "write a name such as example.org, in lower case, without scheme or port")
	case !slices.ContainsFunc(config.Origins, within):
		c.addError("RP_ID", fmt.Sprintf("no origin belongs to %q: none of %s is on it or below it, so no browser would make a passkey", id, strings.Join(config.Origins, ", ")),
			"use the host of KEYLODGE_PUBLIC_URL or a parent domain of it, or leave it unset")
	case isGiven && id != host && isPublicSuffix(id):
		c.addError("RP_ID", fmt.Sprintf("%q is a domain under which anybody may have a name (a public suffix), and browsers make no passkeys for it", id),
			"write "+host+", or the domain that is yours")
	default:
		return true
	}
	return false
}

// retiredRPIDs names RP ids, so that what was meant for one change cannot let another one pass.
func (c *settingsParser) retiredRPIDs(present, s string) []string {
	ids := splitList(s)
	for _, id := range ids {
		switch {
		case id == present && present != "":
			c.addError("RETIRED_RP_IDS", fmt.Sprintf("%q is the RP id of this server", id), "take it out: its passkeys are wanted")
		case !isDomain(id):
			c.addError("RETIRED_RP_IDS", fmt.Sprintf("%q is not a domain name", id), "write former RP ids separated by commas, such as old.example.org")
		}
	}
	return ids
}

// RPIDAdvice returns how to start with a database that has passkeys of other RP IDs, that of the most passkeys first.
func (c Config) RPIDAdvice(ids []string) string {
	return fmt.Sprintf("to keep the passkeys, set KEYLODGE_RP_ID, or KEYLODGE_PUBLIC_URL, back to %s; only to retire them, set KEYLODGE_RETIRED_RP_IDS=%s",
		ids[0], strings.Join(slices.Concat(c.RetiredRPIDs, ids), ","))
}
