package domain

import "crypto/sha256"

// Binding ties a challenge to the browser that asked for it: the digest of a value that only this browser holds. The
// zero value binds to nothing, for clients that keep no cookies.
type Binding [sha256.Size]byte

// BindTo returns the binding to the holder of token.
func BindTo(token Secret) Binding { return sha256.Sum256([]byte(token.Reveal())) }

func (b Binding) IsZero() bool { return b == Binding{} }
