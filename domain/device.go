package domain

import (
	"strings"
	"unicode"
)

// Device describes the client of a session.
type Device struct {
	Name      string `export:"name,omitempty"`       // for display: "Firefox on Linux"
	UserAgent string `export:"user_agent,omitempty"` // printable characters only, at most 512 bytes
	IP        string `export:"ip,omitempty"`         // "" if unknown
}

const maxUserAgentLength = 512

// NewDevice returns a device without a name. It shortens the User-Agent header and removes characters that are not printable.
func NewDevice(userAgent, ip string) Device {
	if len(userAgent) > maxUserAgentLength {
		userAgent = userAgent[:maxUserAgentLength]
	}
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}
	return Device{UserAgent: strings.Map(printable, strings.ToValidUTF8(userAgent, "")), IP: ip}
}
