package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// checkWellKnown finds out whether others look for this server's documents where they are. Browsers and phones ask the RP id's
// own host, over https and without being sent elsewhere.
func (e *checks) checkWellKnown(context.Context) {
	var served []string
	for _, document := range []struct {
		name  string
		there bool
	}{
		{"webauthn", len(e.config.RelatedOrigins()) > 0},
		{"assetlinks.json", len(e.config.WellKnown.AndroidApps) > 0},
		{"apple-app-site-association", len(e.config.WellKnown.AppleApps) > 0},
	} {
		if document.there {
			served = append(served, "/.well-known/"+document.name)
		}
	}
	for _, origin := range e.unlistedApps() {
		e.AddWarning("well_known", "the app of "+origin+" is an allowed origin, and this server's assetlinks.json does not name it, without which Android gives it no passkeys",
			"add it to KEYLODGE_ANDROID_APPS, as PACKAGE="+config.AndroidFingerprint(origin)+", unless https://"+e.config.RPID+"/.well-known/assetlinks.json comes from elsewhere and does")
	}
	switch documents := strings.Join(served, ", "); {
	case len(served) == 0:
		e.AddOK("well_known", "no app and no other site is vouched for")
	case config.HostOf(e.config.PublicURL) != e.config.RPID || !strings.HasPrefix(e.config.PublicURL, "https:"):
		e.AddWarning("well_known", fmt.Sprintf("%s: others look there on https://%s, which is not %s", documents, e.config.RPID, e.config.PublicURL),
			"have https://"+e.config.RPID+" give the same answers there itself; a redirect is not followed")
	default:
		e.AddOK("well_known", "this server answers "+documents)
	}
}

// unlistedApps are the apps among the origins whose certificate no app in the settings has.
func (e *checks) unlistedApps() []string {
	var unvouched []string
	for _, origin := range e.config.Origins {
		if config.AndroidFingerprint(origin) == "" {
			continue
		}
		vouched := false
		for _, app := range e.config.WellKnown.AndroidApps {
			vouched = vouched || slices.Contains(app.Fingerprints, config.AndroidFingerprint(origin))
		}
		if !vouched {
			unvouched = append(unvouched, origin)
		}
	}
	return unvouched
}
