package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TokenOrigins returns the origins that call the API with tokens only: those of apps, and of applications without cookies here.
func (c Config) TokenOrigins() []string {
	origins := slices.Clone(c.AppOrigins)
	for _, app := range c.Applications {
		if !slices.Contains(c.Origins, app.Origin) && !slices.Contains(origins, app.Origin) {
			origins = append(origins, app.Origin)
		}
	}
	return origins
}

// applications reads ORIGIN=NAME items, whose attributes follow after semicolons. Origins are compared byte for byte, so each must be as
// browsers serialise it.
func (p *parser) applications(s, publicURL string, proxies []netip.Prefix) domain.Applications {
	var all domain.Applications
	for _, item := range splitList(s) {
		text, rest, _ := strings.Cut(item, "=")
		name, attributes, hasAttributes := strings.Cut(rest, ";")
		origin, problem, fix := applicationOrigin(text)
		_, duplicate := all.ByOrigin(text)
		_, badName := domain.ParseDisplayName("name", name)
		switch {
		case problem != "":
		case origin != text:
			problem, fix = "browsers write this origin differently", "write "+origin
		case origin == publicURL:
			problem, fix = "the origin of this server", "remove it"
		case duplicate:
			problem, fix = "a duplicate", "remove it"
		case name == "":
			problem, fix = "has no name", "write for example "+origin+"=Example"
		case badName != nil || len(name) > 64:
			problem, fix = fmt.Sprintf("the name %+q is not one line of visible characters of at most 64 bytes", name), "write the name of the application"
		}
		app := domain.Application{Origin: origin, Name: name}
		if problem == "" && hasAttributes {
			problem, fix = readAttributes(&app, attributes)
		}
		if problem == "" && app.ForwardAuth && len(proxies) == 0 {
			problem, fix = "forward_auth without a trusted proxy, which alone may ask about requests", "list the reverse proxy of the application in KEYLODGE_TRUSTED_PROXIES"
		}
		if problem != "" {
			p.addError("APPLICATIONS", fmt.Sprintf("%q: %s", redactUserinfo(text), problem), fix)
			continue
		}
		all = append(all, app)
	}
	return all
}

// applicationOrigin is webOrigin, and also accepts http://127.0.0.1 with any port, for an application on the same machine (RFC 8252,
// section 8.3): users need no passkey there.
func applicationOrigin(s string) (origin, problem, fix string) {
	const loopback, local = "http://127.0.0.1", "http://localhost"
	port, found := strings.CutPrefix(s, loopback)
	if !found || port != "" && port[0] != ':' {
		return webOrigin(s)
	}
	origin, problem, fix = webOrigin(local + port)
	return strings.Replace(origin, local, loopback, 1), problem, fix
}

// The shortest max_age leaves time for the way from this server to the application.
const minMaxAge = time.Minute

// readAttributes returns a problem and its fix if an attribute is invalid.
func readAttributes(app *domain.Application, attributes string) (problem, fix string) {
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(attribute), "=")
		age, err := time.ParseDuration(value)
		switch {
		case name == "forward_auth" && !hasValue:
			app.ForwardAuth = true
		case name != "max_age":
			return fmt.Sprintf("the attribute %q is unknown", attribute), "write forward_auth or, for example, forward_auth;max_age=8h"
		case err != nil || age < minMaxAge || age%time.Second != 0:
			return fmt.Sprintf("max_age %q is not a duration of at least one minute, in seconds", value), "write for example max_age=15m or max_age=8h"
		default:
			app.MaxAge = age
		}
	}
	if app.MaxAge > 0 && !app.ForwardAuth {
		return "max_age without forward_auth: an application with tokens is not asked again", "add forward_auth, or compare auth_time in the application"
	}
	return "", ""
}
