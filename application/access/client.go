package access

import "github.com/keylodge/keylodge/domain"

// Client is who is calling, as far as the transport knows.
type Client struct {
	UserAgent string
	IP        string
	RequestID string // as in the operator's log
	// SessionToken is the token that the visitor's browser brought, if any. Signing in there replaces it: a token that was known
	// before a sign-in is worth nothing after it, so that nobody can plant one (session fixation).
	SessionToken domain.SessionToken
	// Transport is how a session that opens now is to be carried; "" is by cookie.
	Transport domain.Transport
}
