// Package identity describes the caller of a use case: its HTTP client and, if it is signed in, its principal.
package identity

import (
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Client is the HTTP client of a request.
type Client struct {
	UserAgent string
	IP        string
	RequestID string // as in the operator's log
	// APIKey is the key of an operator's program; zero for any other client.
	APIKey domain.APIKeyID
	// SessionToken is the session token in the browser's cookie, if any. A sign-in revokes that session, so that a token
	// planted before the sign-in is worthless after it (session fixation).
	SessionToken domain.SessionToken
	// Application is the name of the application that the client acts for; "" is none.
	Application string
	// Transport selects how a new session is carried; "" is a cookie.
	Transport domain.Transport
}

// Device returns the device that the client's User-Agent and IP address describe. The name of an application precedes it.
func (c Client) Device(names ports.DeviceNames) domain.Device {
	device := domain.NewDevice(c.UserAgent, c.IP)
	device.Name = names.NameOf(device.UserAgent)
	if c.Application != "" {
		device.Name = c.Application + " (" + device.Name + ")"
	}
	return device
}

// Describe returns e with the user as its actor and the client's device, IP address and request id. An event of the
// operator gets the API key and the request id of the operator's program only.
func (c Client) Describe(e domain.EventState, names ports.DeviceNames) domain.EventState {
	if e.Actor == domain.ActorOperator {
		e.APIKey = c.APIKey
		if !e.UserID.IsZero() { // an event without a user has no request id
			e.RequestID = c.RequestID
		}
		return e
	}
	device := c.Device(names)
	e.Actor, e.DeviceName, e.IP, e.RequestID = domain.ActorUser, device.Name, device.IP, c.RequestID
	return e
}
