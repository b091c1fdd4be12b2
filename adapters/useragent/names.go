// Package useragent names devices for people, from what browsers say of themselves. The patterns are uap-core's, kept by
// the ua-parser project.
package useragent

import (
	"strings"
	"sync"

	"github.com/ua-parser/uap-go/uaparser"
)

// Names implements ports.DeviceNames.
type Names struct{}

// patterns are read once for the process: that takes some tens of milliseconds, and they never change.
var patterns = sync.OnceValues(func() (*uaparser.Parser, error) { return uaparser.New() })

// New starts to read the patterns in the background; the first caller waits for the rest of it.
func New() *Names {
	go func() { _, _ = patterns() }()
	return &Names{}
}

const unknown = "Unknown device"

// NameOf returns words like "Firefox on Linux" or "Safari on iPhone".
func (*Names) NameOf(userAgent string) string {
	if userAgent == "" {
		return unknown
	}
	parser, err := patterns()
	if err != nil {
		return unknown
	}
	client := parser.Parse(userAgent)
	browser, system := browserName(client.UserAgent.Family), systemName(client)
	switch {
	case browser == "" && system == "":
		return unknown
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

func browserName(family string) string {
	family = strings.TrimSuffix(strings.TrimPrefix(family, "Mobile "), " Mobile")
	return known(family)
}

func systemName(client *uaparser.Client) string {
	switch client.Device.Family {
	case "iPhone", "iPad":
		return client.Device.Family
	}
	if client.Os.Family == "Mac OS X" {
		return "macOS"
	}
	return known(client.Os.Family)
}

func known(family string) string {
	if family == "Other" {
		return ""
	}
	return family
}
