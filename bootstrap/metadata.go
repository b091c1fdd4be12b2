package bootstrap

import (
	"log/slog"
	"time"

	"github.com/keylodge/keylodge/adapters/webauthn"
)

// logMetadata logs the metadata that verifies attestation, and warns if it is outdated.
func logMetadata(m *webauthn.Metadata, now time.Time, log *slog.Logger) {
	if m == nil {
		return
	}
	attributes := []any{slog.Int("number", m.Number), slog.Int("models", m.Models), slog.String("next_update", m.NextUpdate.Format(time.DateOnly))}
	if m.Outdated(now) {
		log.Warn("metadata outdated: newer models are rejected, and models compromised since are accepted; replace the file of KEYLODGE_METADATA_FILE and restart", attributes...)
		return
	}
	log.Info("attestation is verified with metadata", attributes...)
}
