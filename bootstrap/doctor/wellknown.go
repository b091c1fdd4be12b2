package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// checkWellKnown checks that browsers and phones find the well-known documents of this server. They request them from the host of
// the RP ID over https, and follow no redirect.
func (c *checks) checkWellKnown(context.Context) {
	// Check well_known: browsers and phones find the documents of related origins and apps. They request them from the host of
	// the RP ID over https, and follow no redirect.
	var served []string
	for _, document := range []struct {
		name     string
		isServed bool
	}{
		{"webauthn", len(c.config.RelatedOrigins()) > 0},
		{"assetlinks.json", len(c.config.WellKnown.AndroidApps) > 0},
		{"apple-app-site-association", len(c.config.WellKnown.AppleApps) > 0},
	} {
		if document.isServed {
			served = append(served, "/.well-known/"+document.name)
		}
	}
	for _, origin := range c.unlistedApps() {
		c.AddWarning("well_known", "the app with the allowed origin "+origin+" is missing in this server's assetlinks.json, so Android lets it use no passkeys",
			"add PACKAGE="+config.AndroidFingerprint(origin)+" to KEYLODGE_ANDROID_APPS, unless another server responds to https://"+c.config.RPID+"/.well-known/assetlinks.json and lists it")
	}
	switch documents := strings.Join(served, ", "); {
	case len(served) == 0:
		c.AddOK("well_known", "no documents: no apps and no related origins")
	case config.HostOf(c.config.PublicURL) != c.config.RPID || !strings.HasPrefix(c.config.PublicURL, "https:"):
		c.AddWarning("well_known", fmt.Sprintf("%s are requested from https://%s, which is not %s", documents, c.config.RPID, c.config.PublicURL),
			"serve the same documents on https://"+c.config.RPID+" itself: redirects are not followed")
	default:
		c.AddOK("well_known", "this server serves "+documents)
	}
}

// unlistedApps returns the origins of Android apps that are not in KEYLODGE_ANDROID_APPS.
func (c *checks) unlistedApps() []string {
	return slices.DeleteFunc(slices.Clone(c.config.Origins), func(origin string) bool {
		fingerprint := config.AndroidFingerprint(origin)
		return fingerprint == "" || slices.ContainsFunc(c.config.WellKnown.AndroidApps, func(app httpapi.AndroidApp) bool {
			return slices.Contains(app.Fingerprints, fingerprint)
		})
	})
}
