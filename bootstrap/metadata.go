package bootstrap

import (
	"log/slog"
	"time"

	"github.com/keylodge/keylodge/adapters/webauthn"
)

// logMetadata says at start what authenticators are judged by, and since when it should be replaced.
func logMetadata(m *webauthn.Metadata, now time.Time, log *slog.Logger) {
	if m == nil {
		return
	}
	known := []any{slog.Int("number", m.Number), slog.Int("models", m.Models), slog.String("next_update", m.NextUpdate.Format(time.DateOnly))}
	if m.Outdated(now) {
		log.Warn("the metadata of authenticators are old: newer models are refused, and models broken since are not; replace the file of KEYLODGE_METADATA_FILE and restart", known...)
		return
	}
	log.Info("new passkeys are held to the metadata of authenticators", known...)
}
