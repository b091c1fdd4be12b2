package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// hostile has the characters with which an attacker would control the operator's terminal, forge a line or reorder one.
const hostile = "Ada\x1b]0;owned\x07\x1b[2J\r\nroot\t\x7f\u009b31m\u202e\u2066\u061c\u2028\u200b\ufeff\U000e0041\x00"

// Requirement: ASVS-16.2.5
func TestPrintable_UserInput(t *testing.T) {
	f := newFixture(t)
	mallory := ada
	mallory.DisplayName = hostile
	f.addUser(t, mallory)
	s := sessionOf(mallory, 1)
	s.Device = domain.Device{Name: hostile, UserAgent: hostile, IP: hostile}
	f.addSession(t, s)
	f.update(t, func(ctx context.Context, tx ports.Tx) error {
		return tx.Credentials.Add(ctx, sqlitestore.Credential(domain.CredentialState{
			ID: "key", UserID: mallory.ID, Name: hostile, Transports: []string{hostile}, Status: domain.CredentialActive, CreatedAt: noon,
		}), sqlitestore.Attestation())
	})
	f.update(t, func(ctx context.Context, tx ports.Tx) error {
		event := domain.NewEvent(domain.EventState{
			UserID: mallory.ID, Kind: domain.EventSignInRefused, CredentialID: "key", PasskeyName: hostile, DeviceName: hostile, IP: hostile,
			Reason: hostile, Changed: []string{hostile}, RequestID: hostile,
		}, noon, strings.NewReader("ten random bytes"))
		return tx.Events.Add(ctx, event)
	})

	for line, lines := range map[string]int{"users list": 2, "users show ada@example.org": 21} {
		text := f.mustSucceed(t, line)
		if strings.Count(text, "\n") != lines {
			t.Errorf("%q has %d lines: %s", line, strings.Count(text, "\n"), text)
		}
		if !strings.Contains(text, `Ada\x1b]0;owned\a\x1b[2J\r\nroot\t\x7f\u009b31m\u202e\u2066\u061c\u2028\u200b\ufeff\U000e0041\x00`) {
			t.Errorf("%q does not print the escaped name: %s", line, text)
		}
		wantPrintable(t, line, text)
	}
	for _, line := range []string{"users list --json", "users show --json ada@example.org"} {
		wantPrintable(t, line, f.mustSucceed(t, line))
	}
	shown := f.showAccount(t, mallory)
	device := shown.Sessions[0]["device"].(map[string]any)
	if shown.User["display_name"] != hostile || shown.Passkeys[0]["name"] != hostile || device["user_agent"] != hostile || shown.Events[0]["reason"] != hostile {
		t.Errorf("JSON has changed values: %v", shown)
	}
}

func TestPrintable_Errors(t *testing.T) {
	f := newFixture(t)
	f.program.Open = func(context.Context) (application.UseCases, func() error, error) {
		return application.UseCases{}, nil, errors.New(hostile)
	}
	wantPrintable(t, "as text", f.mustFail(t, "users list", cli.ExitFailure))
	why := f.mustFail(t, "users list --json", cli.ExitFailure)
	wantPrintable(t, "as JSON", why)
	if got := decodeJSON[failureJSON](t, why).Error.Message; got != hostile {
		t.Errorf("JSON has message %q", got)
	}
}

func TestPrintable_OrdinaryNamesUnchanged(t *testing.T) {
	for _, name := range []string{"Žofie ☺", "山田　太郎", "نیلوفر\u200cها", "👨\u200d👩\u200d👧", `a "b" \c`, "שלום"} {
		f := newFixture(t)
		u := ada
		u.DisplayName = domain.DisplayName(name)
		f.addUser(t, u)
		if text := f.mustSucceed(t, "users list"); !strings.HasSuffix(text, "ada@example.org  "+name+"\n") {
			t.Errorf("%q is printed as %q", name, text)
		}
	}
}

func wantPrintable(t *testing.T, line, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == '\u2028') {
			t.Errorf("%q prints %U: %q", line, r, text)
			return
		}
	}
}
