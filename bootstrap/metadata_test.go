package bootstrap

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/settings"
	"github.com/keylodge/keylodge/adapters/cli"
)

func TestLogMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		nextUpdate  time.Time
		level, text string
	}{
		"current":  {time.Now().AddDate(0, 1, 0), "INFO", "models=1"},
		"outdated": {time.Now().AddDate(0, -1, 0), "WARN", "replace the file of KEYLODGE_METADATA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			blobFile, rootFile := settings.MetadataFiles(t, c.nextUpdate)
			cfg, err := load(t, settings.Attested(blobFile, rootFile)...)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			logMetadata(cfg.Metadata, time.Now(), slog.New(slog.NewTextHandler(&log, nil)))
			if !strings.Contains(log.String(), "level="+c.level) || !strings.Contains(log.String(), c.text) || !strings.Contains(log.String(), "number=7") {
				t.Errorf("%s", log.String())
			}
		})
	}
	var log bytes.Buffer
	if logMetadata(nil, time.Now(), slog.New(slog.NewTextHandler(&log, nil))); log.Len() > 0 {
		t.Errorf("%s", log.String())
	}
}

// docs/operations.md validates a new metadata file with a command before it replaces the old one.
func TestCommand_ValidatesMetadataFile(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	invalid := filepath.Join(t.TempDir(), "metadata.new")
	settings.WriteFile(t, invalid, "<html>", 0o600)
	newDatabaseWithUsers(t, settings.Attested(blobFile, rootFile)...)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitOK {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	t.Setenv("KEYLODGE_METADATA_FILE", invalid)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitUsage || !strings.Contains(stderr, "KEYLODGE_METADATA_FILE") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}
