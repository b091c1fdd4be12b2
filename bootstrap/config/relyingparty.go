package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// relyingParty reads the public URL, the RP ID and the origins, and checks that they fit together. Passkeys work only for the RP
// ID that they were registered for, so a mistake cannot be corrected once users have registered some.
func (p *parser) relyingParty(config *Config, e environment) {
	before := len(p.errs)
	config.PublicURL = p.publicURL(e)
	config.RPID = e.RPID
	if e.RPID == "" {
		config.RPID = HostOf(config.PublicURL)
	}
	config.Origins = p.origins(config.PublicURL, e.Origins)
	config.AppOrigins = p.appOrigins(config.Origins, e.AppOrigins)
	if config.PublicURL == "" {
		return
	}
	if p.validRPID(config, e.RPID != "") && len(p.errs) == before {
		p.requireUsableOrigins(config.RPID, config.Origins)
	}
}

// publicURL returns the origin of the public URL, or "" after an error.
func (p *parser) publicURL(e environment) string {
	if e.PublicURL == "" {
		return defaultPublicURL(e.Listen)
	}
	const fix = "write the URL that users open, for example https://id.example.org"
	shown := fmt.Sprintf("%q: ", redactUserinfo(e.PublicURL))
	u, err := url.Parse(e.PublicURL)
	if err == nil && u.Host != "" && (u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "") {
		p.addError("PUBLIC_URL", shown+"it contains more than scheme, host and port", fix)
		return ""
	}
	origin, problem, originFix := webOrigin(e.PublicURL)
	switch {
	case problem != "":
		p.addError("PUBLIC_URL", shown+problem, strings.NewReplacer(originForm, fix, appOriginHint, "").Replace(originFix))
		return ""
	case HostOf(origin) != strings.ToLower(u.Hostname()) || strings.HasSuffix(u.Host, ":"):
		p.addError("PUBLIC_URL", shown+"browsers write this origin differently", "write "+origin)
		return ""
	}
	return origin
}

// validRPID adds an error and returns false if the RP ID is invalid. isSet says that it is a setting, and not derived from the
// public URL.
func (p *parser) validRPID(config *Config, isSet bool) bool {
	id, host := config.RPID, HostOf(config.PublicURL)
	within := func(origin string) bool { return IsSameOrSubdomain(HostOf(origin), id) }
	switch {
	case !isSet && !isDomain(id):
		p.addError("PUBLIC_URL", fmt.Sprintf("%q: the host %q is not a domain name, which passkeys require", config.PublicURL, id), "write a name of a to z, digits and hyphens")
	case !isDomain(id):
		p.addError("RP_ID", fmt.Sprintf("%q is not a domain name", id), "write a lower-case name without scheme and port, for example example.org")
	case !slices.ContainsFunc(config.Origins, within):
		p.addError("RP_ID", fmt.Sprintf("no origin of %s is on the domain %q or a subdomain of it, so browsers register no passkeys", strings.Join(config.Origins, ", "), id),
			"write the host of KEYLODGE_PUBLIC_URL or a parent domain of it, or leave it unset")
	case isSet && id != host && isPublicSuffix(id):
		p.addError("RP_ID", fmt.Sprintf("%q is a public suffix, under which others have domains, so browsers register no passkeys for it", id),
			"write "+host+", or a parent domain that you own")
	default:
		return true
	}
	return false
}

// retiredRPIDs reads the retired RP IDs. They are a list and not a switch, so that the setting does not allow a later change of
// the RP ID by mistake.
func (p *parser) retiredRPIDs(current, s string) []string {
	ids := splitList(s)
	for _, id := range ids {
		switch {
		case id == current && current != "":
			p.addError("RETIRED_RP_IDS", fmt.Sprintf("%q is the RP ID of this server", id), "remove it: its passkeys are in use")
		case !isDomain(id):
			p.addError("RETIRED_RP_IDS", fmt.Sprintf("%q is not a domain name", id), "write former RP IDs separated by commas, for example old.example.org")
		}
	}
	return ids
}

// RPIDAdvice returns how to start with a database that has passkeys of other RP IDs, that of the most passkeys first.
func (c Config) RPIDAdvice(ids []string) string {
	return fmt.Sprintf("to keep the passkeys, set KEYLODGE_RP_ID, or KEYLODGE_PUBLIC_URL, back to %s; only to retire them, set KEYLODGE_RETIRED_RP_IDS=%s",
		ids[0], strings.Join(slices.Concat(c.RetiredRPIDs, ids), ","))
}
