// Package useragent returns the names of devices by the User-Agent header, with the patterns of uap-core from the ua-parser project.
package useragent

import (
	"runtime/debug"
	"strings"
	"sync"

	"github.com/ua-parser/uap-go/uaparser"
	"gopkg.in/yaml.v3"

	"github.com/keylodge/keylodge/domain"
)

// Names implements ports.DeviceNames.
type Names struct{}

// patterns are parsed once per process, which takes tens of milliseconds.
var patterns = sync.OnceValues(parsePatterns)

// parsePatterns leaves out the patterns of devices that have no name here: compiled, they need most of the memory. Those of crawlers
// stay, because crawlers claim to be an iPhone.
func parsePatterns() (*uaparser.Parser, error) {
	var all uaparser.RegexDefinitions
	if err := yaml.Unmarshal(uaparser.DefinitionYaml, &all); err != nil {
		return nil, err
	}
	devices := all.Device
	all.Device = nil
	for _, d := range devices {
		switch d.DeviceReplacement {
		case "$1":
			if !strings.Contains(d.Expr, "iPhone") && !strings.Contains(d.Expr, "iPad") {
				continue
			}
		case "iPhone", "iPad", "Spider":
		default:
			continue
		}
		all.Device = append(all.Device, d)
	}
	return uaparser.New(uaparser.WithRegexDefinitions(all))
}

// New starts to parse the patterns in the background, unless it has done so before. NameOf waits until they are parsed.
func New() *Names {
	go parseAndFree()
	return &Names{}
}

// parseAndFree parses the patterns, and returns the memory that only the parsing needed to the system.
var parseAndFree = sync.OnceFunc(func() {
	_, _ = patterns()
	debug.FreeOSMemory()
})

const unknownName = "Unknown device"

// NameOf returns a browser and a system, such as "Firefox on Linux", one of the two, or "Unknown device". Both are from fixed lists:
// the result contains no text of the client.
func (*Names) NameOf(userAgent string) string {
	if userAgent == "" {
		return unknownName
	}
	parser, err := patterns()
	if err != nil {
		return unknownName
	}
	// Not parser.Parse, which starts three goroutines even for a User-Agent in its cache.
	browser := browserName(parser.ParseUserAgent(userAgent).Family)
	system := systemName(parser.ParseDevice(userAgent).Family, parser.ParseOs(userAgent).Family)
	switch {
	case browser == "" && system == "":
		return unknownName
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// FamilyOf returns the family of a browser. Those of other vendors that are built on Chromium have its WebAuthn, and count as Chrome.
func (*Names) FamilyOf(userAgent string) domain.BrowserFamily {
	parser, err := patterns()
	if err != nil || userAgent == "" {
		return domain.FamilyOther
	}
	switch browserName(parser.ParseUserAgent(userAgent).Family) {
	case "Chrome", "Chromium", "Headless Chrome", "Brave", "Opera", "Vivaldi", "Yandex Browser", "Whale":
		return domain.FamilyChrome
	case "Edge":
		return domain.FamilyEdge
	case "Firefox":
		return domain.FamilyFirefox
	case "Safari":
		return domain.FamilySafari
	case "Samsung Internet":
		return domain.FamilySamsung
	}
	return domain.FamilyOther
}

// browsers has the name of a browser or program for each family of the patterns. Some patterns copy the family from the header:
// without this list a client could show any text to the account's owner, in the audit log and in e-mails. A family that is not
// listed has no name.
var browsers = map[string]string{
	"Amazon Silk":                "Amazon Silk",
	"Android":                    "Android Browser",
	"Apache-HttpClient":          "Apache HttpClient",
	"Brave":                      "Brave",
	"Chrome":                     "Chrome",
	"Chrome Mobile":              "Chrome",
	"Chrome Mobile WebView":      "Chrome",
	"Chrome Mobile iOS":          "Chrome",
	"Chromium":                   "Chromium",
	"DuckDuckGo":                 "DuckDuckGo",
	"DuckDuckGo Mobile":          "DuckDuckGo",
	"Edge":                       "Edge",
	"Edge Mobile":                "Edge",
	"Epiphany":                   "Epiphany",
	"Facebook":                   "Facebook",
	"Falkon":                     "Falkon",
	"Firefox":                    "Firefox",
	"Firefox Mobile":             "Firefox",
	"Firefox iOS":                "Firefox",
	"Go-http-client":             "Go-http-client",
	"Google":                     "Google",
	"HTTPie":                     "HTTPie",
	"HeadlessChrome":             "Headless Chrome",
	"IE":                         "Internet Explorer",
	"Instagram":                  "Instagram",
	"Konqueror":                  "Konqueror",
	"MiuiBrowser":                "MIUI Browser",
	"Mobile Safari":              "Safari",
	"Mobile Safari UI/WKWebView": "Safari",
	"Opera":                      "Opera",
	"Opera Mini":                 "Opera Mini",
	"Opera Mobile":               "Opera",
	"Opera Touch":                "Opera",
	"Pale Moon":                  "Pale Moon",
	"PostmanRuntime":             "Postman",
	"Python Requests":            "Python Requests",
	"QQ Browser":                 "QQ Browser",
	"QQ Browser Mobile":          "QQ Browser",
	"Safari":                     "Safari",
	"Samsung Internet":           "Samsung Internet",
	"SeaMonkey":                  "SeaMonkey",
	"UC Browser":                 "UC Browser",
	"Vivaldi":                    "Vivaldi",
	"Wget":                       "Wget",
	"Whale":                      "Whale",
	"Yandex Browser":             "Yandex Browser",
	"axios":                      "axios",
	"curl":                       "curl",
	"insomnia":                   "Insomnia",
	"okhttp":                     "OkHttp",
}

// systems has the name of each operating system.
var systems = map[string]string{
	"Android":       "Android",
	"Arch Linux":    "Arch Linux",
	"BlackBerry OS": "BlackBerry OS",
	"CentOS":        "CentOS",
	"Chrome OS":     "Chrome OS",
	"Debian":        "Debian",
	"Fedora":        "Fedora",
	"FreeBSD":       "FreeBSD",
	"Gentoo":        "Gentoo",
	"HarmonyOS":     "HarmonyOS",
	"KaiOS":         "KaiOS",
	"Linux":         "Linux",
	"Mac OS X":      "macOS",
	"Mandriva":      "Mandriva",
	"NetBSD":        "NetBSD",
	"OpenBSD":       "OpenBSD",
	"Red Hat":       "Red Hat",
	"SUSE":          "SUSE",
	"Slackware":     "Slackware",
	"Solaris":       "Solaris",
	"Tizen":         "Tizen",
	"Ubuntu":        "Ubuntu",
	"Windows":       "Windows",
	"Windows Phone": "Windows Phone",
	"iOS":           "iOS",
	"tvOS":          "tvOS",
	"watchOS":       "watchOS",
	"webOS":         "webOS",
}

func browserName(family string) string { return browsers[family] }

func systemName(device, system string) string {
	switch device {
	case "iPhone", "iPad":
		return device
	}
	return systems[system]
}
