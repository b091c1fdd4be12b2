package domain

import (
	"strings"
	"unicode"
)

// Device is where a session is used from.
type Device struct {
	Name      string `export:"name,omitempty"`       // for people: "Firefox on Linux"
	UserAgent string `export:"user_agent,omitempty"` // as sent, made printable, at most 512 bytes
	IP        string `export:"ip,omitempty"`         // "" if unknown
}

const maxUserAgentLength = 512

// NewDevice keeps of a User-Agent header what is fit to be stored and shown. The name is still to be given.
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
