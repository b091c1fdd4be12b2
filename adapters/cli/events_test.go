package cli_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addEvent stores an event of an hour before noon and some minutes.
func (f *fixture) addEvent(t *testing.T, user domain.UserID, kind domain.EventKind, minute int) domain.EventID {
	t.Helper()
	e := domain.NewEvent(domain.EventState{UserID: user, Kind: kind}, noon.Add(time.Duration(minute)*time.Minute-time.Hour), rand.Reader)
	f.update(t, func(ctx context.Context, tx ports.Tx) error { return tx.Events.Add(ctx, e) })
	return e.ID()
}

// lineIDs returns the ids of events in JSON Lines.
func lineIDs(t *testing.T, lines string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var e struct {
			ID     string
			UserID *string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

func TestEvents_FiltersAndContinues(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	first, second := f.addEvent(t, ada.ID, domain.EventSignedIn, 1).String(), f.addEvent(t, ben.ID, domain.EventSignedIn, 2).String()
	third := f.addEvent(t, ada.ID, domain.EventPasskeyAdded, 3).String()
	for line, want := range map[string]string{
		"events --json":                                                  first + " " + second + " " + third,
		"events --json --user ada@example.org":                           first + " " + third,
		"events --json --kind passkey_added,passkey_removed":             third,
		"events --json --after " + first:                                 second + " " + third,
		"events --json --user " + ben.ID.String() + " --after " + second: "",
	} {
		if got := strings.Join(lineIDs(t, f.mustSucceed(t, line)), " "); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
	text := f.mustSucceed(t, "events")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "AT ") || !strings.Contains(lines[3], "passkey_added") || !strings.Contains(lines[3], ada.ID.String()) {
		t.Errorf("printed %q", text)
	}
	for line, want := range map[string]string{"events --after first": "--after", "events --kind signed": "signed", "events --user ada": "e-mail"} {
		if why := f.mustFail(t, line, cli.ExitUsage); !strings.Contains(why, want) {
			t.Errorf("%q: %s", line, why)
		}
	}
}

// Each event is printed once, before the command waits for the next ones.
func TestEvents_Follow(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	want := []string{f.addEvent(t, ada.ID, domain.EventSignedIn, 1).String()}
	ctx, interrupt := context.WithCancel(t.Context())
	pauses := 0
	f.program.Pause = func(ctx context.Context, _ time.Duration) error {
		if pauses++; pauses == 3 {
			interrupt()
			return ctx.Err()
		}
		if pauses == 1 {
			want = append(want, f.addEvent(t, ada.ID, domain.EventSignedOut, 60).String())
		}
		f.passed += time.Minute
		return nil
	}
	exitCode, stdout, stderr := f.runContext(ctx, t, "events --follow --json")
	if exitCode != cli.ExitOK || stderr != "" {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	if got := lineIDs(t, stdout); strings.Join(got, " ") != strings.Join(want, " ") || len(got) != 2 || pauses != 3 {
		t.Errorf("printed %v after %d pauses, want %v", got, pauses, want)
	}
}
