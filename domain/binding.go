package domain

import "crypto/sha256"

// Binding ties a challenge to the browser that began the ceremony: the digest of a value in the browser's cookie. The zero value
// binds to no browser, for clients without cookies.
type Binding [sha256.Size]byte

// BindTo returns the binding to the browser that has the token.
func BindTo(token Secret) Binding { return sha256.Sum256([]byte(token.Reveal())) }

func (b Binding) IsZero() bool { return b == Binding{} }
