package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestCheckWithProgress(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var stderr bytes.Buffer
		p := &Program{Stderr: &stderr, Terminal: terminal}
		check := p.checkWithProgress(p.backup(), true)
		check.Progress(dbadmin.Progress{Stage: dbadmin.StageCopying, Done: 500, Total: 1000})
		if shown := strings.Contains(stderr.String(), "copying: 0s, 500 of 1000 pages, 50 %"); !check.Full || shown != terminal {
			t.Errorf("terminal %t: %q", terminal, stderr.String())
		}
		check.Progress(dbadmin.Progress{Stage: dbadmin.StageCopying, Done: 1000, Total: 1000})
		if terminal && !strings.HasSuffix(stderr.String(), "\r\x1b[K") {
			t.Errorf("the line is not cleared: %q", stderr.String())
		}
	}
}
