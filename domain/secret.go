package domain

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds a value that must not be printed. Every way of formatting it redacts; only Reveal returns it.
type Secret struct{ value string }

func NewSecret(value string) Secret { return Secret{value} }

func (s Secret) Reveal() string   { return s.value }
func (s Secret) IsZero() bool     { return s.value == "" }
func (s Secret) String() string   { return redacted }
func (s Secret) GoString() string { return redacted }

// Format redacts whatever the verb: %d and %x would otherwise pass String by.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
