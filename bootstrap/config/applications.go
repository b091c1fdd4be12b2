package config

import (
	"fmt"
	"slices"
	"strings"

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

// applications reads ORIGIN=NAME items. Origins are compared byte for byte, so each must be as browsers serialise it.
func (p *parser) applications(s, publicURL string) domain.Applications {
	var all domain.Applications
	for _, item := range splitList(s) {
		text, name, _ := strings.Cut(item, "=")
		origin, problem, fix := webOrigin(text)
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
		if problem != "" {
			p.addError("APPLICATIONS", fmt.Sprintf("%q: %s", redactUserinfo(text), problem), fix)
			continue
		}
		all = append(all, domain.Application{Origin: origin, Name: name})
	}
	return all
}
