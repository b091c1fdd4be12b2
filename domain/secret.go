package domain

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Redacted is embedded in types that hold secrets. Every way of formatting them writes "[redacted]".
type Redacted struct{}

func (Redacted) String() string   { return redacted }
func (Redacted) GoString() string { return redacted }

// Format redacts for every verb: %d and %x do not call String.
func (Redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (Redacted) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Redacted) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Secret holds a value that must not be printed. Only Reveal returns it.
type Secret struct {
	Redacted
	value string
}

func NewSecret(value string) Secret { return Secret{value: value} }

func (s Secret) Reveal() string { return s.value }
func (s Secret) IsZero() bool   { return s.value == "" }
