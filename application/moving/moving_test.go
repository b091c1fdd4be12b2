package moving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return noon }

var secrets = Keys{bytes.Repeat([]byte{'a'}, 32)}

// house is an installation.
type house struct {
	t     *testing.T
	store ports.Store
	keys  Keys
}

func newHouse(t *testing.T) *house { return &house{t, memory.New(), secrets} }

func (h *house) update(fn func(ctx context.Context, tx ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), func(tx ports.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// lives is somebody of that name with one of everything. Names sort as ids do.
func (h *house) lives(name string) domain.UserSnapshot {
	h.t.Helper()
	u := person(h.t, name)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		key := filled[domain.CredentialSnapshot](h.t, name)
		s := filled[domain.SessionSnapshot](h.t, name)
		s.RevokedAt = time.Time{}
		app := filled[domain.TOTPSnapshot](h.t, name)
		e := filled[domain.EventSnapshot](h.t, name)
		m := filled[domain.MessageSnapshot](h.t, name)
		key.UserID, s.UserID, app.UserID, e.UserID, m.UserID = u.ID, u.ID, u.ID, u.ID, u.ID
		key.ID, s.Token = domain.CredentialID(name), domain.TokenDigest{name[0]}
		return errors.Join(
			tx.Users.Add(ctx, domain.RestoreUser(u)), tx.Credentials.Add(ctx, domain.RestoreCredential(key)),
			tx.Sessions.Add(ctx, domain.RestoreSession(s)), tx.TOTPs.Save(ctx, domain.RestoreTOTP(app)),
			tx.BackupCodes.Replace(ctx, u.ID, []domain.CodeDigest{{name[0], 2}, {name[0], 1}}, noon),
			tx.Events.Add(ctx, domain.RestoreEvent(e)), tx.Messages.Add(ctx, domain.RestoreMessage(m)))
	})
	return u
}

// person is somebody whose id sorts as their name does.
func person(t *testing.T, name string) domain.UserSnapshot {
	t.Helper()
	u := filled[domain.UserSnapshot](t, name)
	u.ID = must(domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", name[0])))
	u.Email, u.Handle = domain.Email(name+"@example.org"), domain.UserHandle("handle of "+name)
	return u
}

// furnished has, beside Ada and Ben, one of everything that is nobody's.
func furnished(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.lives("ada")
	h.lives("ben")
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filled[domain.EventSnapshot](t, "nobody's")
		e := domain.EventSnapshot{ID: full.ID, Kind: full.Kind, At: full.At, By: full.By, Reason: full.Reason}
		m := filled[domain.MessageSnapshot](t, "nobody's")
		m.UserID = domain.UserID{}
		return errors.Join(
			tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(filled[domain.SigningKeySnapshot](t, "key"))),
			tx.Lockouts.Save(ctx, domain.RestoreLockout(filled[domain.LockoutSnapshot](t, "lockout"))),
			tx.Events.Add(ctx, domain.RestoreEvent(e)), tx.Messages.Add(ctx, domain.RestoreMessage(m)))
	})
	return h
}

func silent(Stage, int, int) {}

func (h *house) exports() []byte {
	h.t.Helper()
	var file bytes.Buffer
	if _, err := (&Export{h.store, clock{}, h.keys}).Execute(h.t.Context(), &file, silent); err != nil {
		h.t.Fatal(err)
	}
	return file.Bytes()
}

func (h *house) imports(file []byte) (Outcome, error) {
	return (&Import{h.store, h.keys}).Execute(h.t.Context(), bytes.NewReader(file), false, silent)
}

func (h *house) joins(file []byte) (Outcome, error) {
	return (&Import{h.store, h.keys}).Execute(h.t.Context(), bytes.NewReader(file), true, silent)
}

func (h *house) isLeftAs(before []byte) {
	h.t.Helper()
	if after := h.exports(); !bytes.Equal(after, before) {
		h.t.Errorf("something was changed:\n%s\n%s", before, after)
	}
}

func code(err error) string {
	var known *domain.Error
	if errors.As(err, &known) {
		return known.Code
	}
	return fmt.Sprint(err)
}

func TestEverythingThatLastsMoves(t *testing.T) {
	file := furnished(t).exports()
	h := newHouse(t)
	outcome, err := h.imports(file)
	want := Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 3, SigningKeys: 1, Lockouts: 1, Messages: 3}
	if err != nil || outcome != (Outcome{Added: want, Total: 2}) {
		t.Fatalf("%+v, %v", outcome, err)
	}
	h.isLeftAs(file)
	outcome, err = h.imports(file)
	if err != nil || outcome != (Outcome{Present: want, Total: 2}) {
		t.Errorf("once more: %+v, %v", outcome, err)
	}
	h.isLeftAs(file)
}

// Files of this version are about in the world: whoever changes how they are written has made another version.
func TestTheFormatStaysTheSame(t *testing.T) {
	file, err := os.ReadFile("testdata/version1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	if outcome, err := h.imports(file); err != nil || outcome.Added.Users != 2 {
		t.Fatalf("%+v, %v", outcome, err)
	}
	h.isLeftAs(file)
}

func TestAnEmptyInstallationMoves(t *testing.T) {
	file := newHouse(t).exports()
	if outcome, err := newHouse(t).imports(file); err != nil || outcome != (Outcome{}) || bytes.Count(file, []byte("\n")) != 2 {
		t.Errorf("%+v, %v; %s", outcome, err, file)
	}
}

func TestWhatIsOverInMinutesStays(t *testing.T) {
	h := newHouse(t)
	ada := h.lives("ada")
	before := h.exports()
	h.update(func(ctx context.Context, tx ports.Tx) error {
		ended := filled[domain.SessionSnapshot](t, "ended")
		expired := filled[domain.SessionSnapshot](t, "expired")
		ended.UserID, expired.UserID = ada.ID, ada.ID
		expired.RevokedAt, expired.IdleEndsAt = time.Time{}, noon
		expired.Token = domain.TokenDigest{'x'}
		return errors.Join(tx.Sessions.Add(ctx, domain.RestoreSession(ended)), tx.Sessions.Add(ctx, domain.RestoreSession(expired)))
	})
	h.isLeftAs(before)
}

// Of a file that is not whole, or not as it was written, nothing comes in.
func TestAFileThatWasChangedChangesNothing(t *testing.T) {
	file := furnished(t).exports()
	lines := bytes.SplitAfter(file, []byte("\n"))
	lines = lines[:len(lines)-1] // what follows the last line feed
	without := func(i int) []byte { return bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil) }
	swapped := func(i, j int) []byte {
		all := slices.Clone(lines)
		all[i], all[j] = all[j], all[i]
		return bytes.Join(all, nil)
	}
	bad := map[string][]byte{
		"nothing":           nil,
		"something else":    []byte("Dear diary,\n"),
		"another JSON":      []byte("{}\n"),
		"followed by more":  append(slices.Clone(file), '\n'),
		"two of them":       slices.Concat(file, file),
		"users swapped":     swapped(4, 5),
		"of another format": bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2`), 1),
	}
	for i := range lines {
		bad[fmt.Sprint("without line ", i+1)] = without(i)
		bad[fmt.Sprint("line ", i+1, " twice")] = bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil)
		bad[fmt.Sprint("cut after line ", i)] = bytes.Join(lines[:i], nil)
	}
	for i := 0; i < len(file); i += 7 {
		changed := slices.Clone(file)
		changed[i] ^= 1
		bad[fmt.Sprint("byte ", i, " changed")] = changed
		bad[fmt.Sprint("cut after byte ", i)] = file[:i]
	}
	h := newHouse(t)
	before := h.exports()
	for name, bad := range bad {
		if outcome, err := h.imports(bad); err == nil || outcome != (Outcome{}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		if _, err := h.joins(bad); err == nil {
			t.Errorf("%s: it was let in beside others", name)
		}
	}
	h.isLeftAs(before)
	for name, want := range map[string]string{
		"cut after line 5": errCutShort.Message, "cut after byte 602": errCutShort.Message, "without line 5": errTampered.Message, "line 4 twice": errTampered.Message,
		"followed by more": errTampered.Message, "something else": errNoExport.Message, "nothing": errNoExport.Message,
		"of another format": errVersion.Message, "users swapped": "line 6 of the export cannot be used: its user comes out of turn",
	} {
		if _, err := h.imports(bad[name]); err == nil || err.Error() != want || code(err) != "invalid_export" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever has the file and not the secret can add nobody to it.
func TestAFileIsWrittenUnderTheSecret(t *testing.T) {
	file := furnished(t).exports()
	forger := newHouse(t)
	forger.keys = Keys{bytes.Repeat([]byte{'m'}, 32)}
	forger.lives("mallory")
	forged := bytes.SplitAfter(forger.exports(), []byte("\n"))
	lines := bytes.SplitAfter(file, []byte("\n"))
	for name, bad := range map[string][]byte{
		"somebody more":                     slices.Concat(append(slices.Clone(lines[:6]), append([][]byte{forged[1]}, lines[6:]...)...)...),
		"under another":                     bytes.Join(forged, nil),
		"under another, made to look right": slices.Concat(append([][]byte{lines[0]}, forged[1:]...)...),
	} {
		h := newHouse(t)
		if _, err := h.imports(bad); err == nil {
			t.Errorf("%s: it was let in", name)
		}
	}
}

func TestAnImportNeedsTheSecretsOfTheExport(t *testing.T) {
	a, b, c := bytes.Repeat([]byte{'a'}, 32), bytes.Repeat([]byte{'b'}, 32), bytes.Repeat([]byte{'c'}, 32)
	for name, test := range map[string]struct {
		from, to Keys
		want     error
	}{
		"the same":                  {Keys{a}, Keys{a}, nil},
		"the same, and former ones": {Keys{a, b}, Keys{a, b}, nil},
		"replaced meanwhile":        {Keys{a}, Keys{c, a}, nil},
		"replaced twice":            {Keys{a, b}, Keys{c, b, a}, nil},
		"another":                   {Keys{a}, Keys{b}, errOtherSecret},
		"only a former one":         {Keys{a, b}, Keys{b}, errOtherSecret},
		"without the former one":    {Keys{a, b}, Keys{a}, errFormerSecret},
		"without one of the former": {Keys{a, b, c}, Keys{a, c}, errFormerSecret},
	} {
		from, to := furnished(t), newHouse(t)
		from.keys, to.keys = test.from, test.to
		if outcome, err := to.imports(from.exports()); !errors.Is(err, test.want) || (err == nil) != (outcome.Added.Users == 2) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
	}
}

func TestADatabaseThatHasOthersMayBeTheWrongOne(t *testing.T) {
	file := furnished(t).exports() // of Ada and Ben
	for _, others := range [][]string{{"Zoe"}, {"aaron"}, {"ava", "ada"}, {"ada", "ben", "mia"}, {"ben", "\x01first"}, {"b2"}} {
		h := newHouse(t)
		for _, name := range others {
			u := person(t, name)
			if name == "aaron" || name == "ava" || name == "b2" {
				u.ID = must(domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%011x0", name[0]<<2)))
			}
			if name != "ada" && name != "ben" {
				u.Email = ""
				h.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
			} else {
				h.lives(name)
			}
		}
		before := h.exports()
		if outcome, err := h.imports(file); !errors.Is(err, errOthersThere) || outcome != (Outcome{}) {
			t.Errorf("beside %v: %+v, %v", others, outcome, err)
		}
		h.isLeftAs(before)
		if outcome, err := h.joins(file); err != nil || outcome.Added.Users+outcome.Present.Users != 2 {
			t.Errorf("into %v: %+v, %v", others, outcome, err)
		}
		if now := string(h.exports()); strings.Count(now, `{"user":`) < 3 {
			t.Errorf("into %v: %s", others, now)
		}
	}
}

func TestNothingThatIsThereIsWrittenOver(t *testing.T) {
	file := furnished(t).exports()
	ada := person(t, "ada")
	for name, c := range map[string]struct {
		prepare func(ctx context.Context, tx ports.Tx) error
		want    string
	}{
		"a user who is different": {func(ctx context.Context, tx ports.Tx) error {
			other := ada
			other.DisplayName = "Another"
			return tx.Users.Add(ctx, domain.RestoreUser(other))
		}, "user " + ada.ID.String() + " is there already and is not the same"},
		"a user without their passkeys": {func(ctx context.Context, tx ports.Tx) error {
			return tx.Users.Add(ctx, domain.RestoreUser(ada))
		}, "is not the same"},
		"an address of somebody else's": {func(ctx context.Context, tx ports.Tx) error {
			mallory := person(t, "mallory")
			mallory.Email = ada.Email
			return tx.Users.Add(ctx, domain.RestoreUser(mallory))
		}, "user " + ada.ID.String() + " cannot come in: their e-mail address"},
		"a passkey of somebody else's": {func(ctx context.Context, tx ports.Tx) error {
			mallory := person(t, "mallory")
			key := filled[domain.CredentialSnapshot](t, "mallory")
			key.ID, key.UserID = "ada", mallory.ID
			return errors.Join(tx.Users.Add(ctx, domain.RestoreUser(mallory)), tx.Credentials.Add(ctx, domain.RestoreCredential(key)))
		}, "user " + ada.ID.String() + " cannot come in: a passkey"},
		"an event that is different": {func(ctx context.Context, tx ports.Tx) error {
			full := filled[domain.EventSnapshot](t, "nobody's")
			return tx.Events.Add(ctx, domain.RestoreEvent(domain.EventSnapshot{ID: full.ID, Kind: "another", At: full.At, By: full.By}))
		}, "is there already and is another one"},
		"a message that is different": {func(ctx context.Context, tx ports.Tx) error {
			m := filled[domain.MessageSnapshot](t, "nobody's")
			m.UserID = domain.UserID{}
			m.Attempts++
			return tx.Messages.Add(ctx, domain.RestoreMessage(m))
		}, "was tried meanwhile"},
		"a signing key that is different": {func(ctx context.Context, tx ports.Tx) error {
			key := filled[domain.SigningKeySnapshot](t, "key")
			key.Sealed = []byte("otherwise")
			return tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(key))
		}, "is kept in another way"},
	} {
		h := newHouse(t)
		h.update(func(ctx context.Context, tx ports.Tx) error { return c.prepare(ctx, tx) })
		before := h.exports()
		if outcome, err := h.joins(file); code(err) != "conflict" || !strings.Contains(err.Error(), c.want) || outcome.Added != (Counts{}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		h.isLeftAs(before)
		if strings.Contains(fmt.Sprint(h.joins(file)), "@") {
			t.Errorf("%s: it tells an address", name)
		}
	}
}

// A signing key, an event or a letter that is there beside those of the file is nobody's conflict.
func TestWhatIsNobodysLivesSideBySide(t *testing.T) {
	file := furnished(t).exports()
	h := newHouse(t)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filled[domain.EventSnapshot](t, "other")
		m := filled[domain.MessageSnapshot](t, "other")
		m.UserID = domain.UserID{}
		key := filled[domain.SigningKeySnapshot](t, "other")
		key.ID = "another"
		return errors.Join(tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(key)), tx.Messages.Add(ctx, domain.RestoreMessage(m)),
			tx.Events.Add(ctx, domain.RestoreEvent(domain.EventSnapshot{ID: full.ID, Kind: full.Kind, At: full.At, By: full.By})))
	})
	for range 2 {
		if _, err := h.imports(file); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := (&Export{h.store, clock{}, h.keys}).Execute(t.Context(), &bytes.Buffer{}, silent)
	if want := (Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 4, SigningKeys: 2, Lockouts: 1, Messages: 4}); err != nil || counts != want {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestAMoveGivesNobodyNewGuesses(t *testing.T) {
	here := domain.LockoutSnapshot{Subject: domain.LockoutSubject{7}, Failures: 3, LockedUntil: noon.Add(time.Hour), UpdatedAt: noon}
	there := domain.LockoutSnapshot{Subject: here.Subject, Failures: 9, UpdatedAt: noon.Add(-time.Hour)}
	want := domain.LockoutSnapshot{Subject: here.Subject, Failures: 9, LockedUntil: here.LockedUntil, UpdatedAt: noon}
	for _, pair := range [][2]domain.LockoutSnapshot{{here, there}, {there, here}} {
		from, to := newHouse(t), newHouse(t)
		for i, h := range []*house{from, to} {
			h.update(func(ctx context.Context, tx ports.Tx) error {
				return tx.Lockouts.Save(ctx, domain.RestoreLockout(pair[i]))
			})
		}
		for range 2 {
			if _, err := to.imports(from.exports()); err != nil {
				t.Fatal(err)
			}
			to.update(func(ctx context.Context, tx ports.Tx) error {
				got, err := tx.Lockouts.Of(ctx, here.Subject)
				if got.Snapshot() != want {
					t.Errorf("got %+v, %v", got.Snapshot(), err)
				}
				return err
			})
		}
	}
}

// twice is a store that begins every unit of work again once it is through.
type twice struct{ ports.Store }

var errAgain = errors.New("not serializable")

func (s twice) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if err := s.Store.Update(ctx, func(tx ports.Tx) error { return errors.Join(fn(tx), errAgain) }); err.Error() != errAgain.Error() {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func TestWhatIsBegunAgainIsCountedOnce(t *testing.T) {
	file := furnished(t).exports()
	h := newHouse(t)
	h.store = twice{h.store}
	if outcome, err := h.imports(file); err != nil || outcome.Added.Users != 2 || outcome.Present != (Counts{}) {
		t.Errorf("%+v, %v", outcome, err)
	}
	h.isLeftAs(file)
}

// failing is a store that lets only so many units of work through.
type failing struct {
	ports.Store
	left int
}

func (s *failing) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.left--; s.left < 0 {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

// Wherever an import ends before its time, whoever is in is in whole, and the next one brings in the rest. A long log may
// be in in part, from its latest entry on.
func TestAnImportGoesOnWhereItStopped(t *testing.T) {
	from := furnished(t)
	ada := person(t, "ada")
	from.update(func(ctx context.Context, tx ports.Tx) error {
		for i := range eventsPerLine + 20 {
			e := filled[domain.EventSnapshot](t, fmt.Sprint("event ", i))
			e.UserID = ada.ID
			if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range linesPerUpdate + 10 {
		u := filled[domain.UserSnapshot](t, fmt.Sprint("user ", i))
		u.Email, u.Handle = "", domain.UserHandle(fmt.Sprint(i))
		from.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
	}
	file := from.exports()
	if longest := slices.MaxFunc(bytes.Split(file, []byte("\n")), func(a, b []byte) int { return len(a) - len(b) }); len(longest) > 400_000 {
		t.Errorf("a line of %d bytes", len(longest))
	}
	for stops := 0; ; stops++ {
		to := newHouse(t)
		sound := to.store
		to.store = &failing{sound, stops}
		outcome, err := to.imports(file)
		to.store = sound
		if n := strings.Count(string(to.exports()), "\n{\"user\":"); n != outcome.Added.Users {
			t.Errorf("after %d units of work %d users are there, and %d were to be", stops, n, outcome.Added.Users)
		}
		if err == nil {
			if to.isLeftAs(file); stops < 2 || outcome.Added.Events != eventsPerLine+20+3 {
				t.Errorf("it took %d units of work to add %+v", stops, outcome.Added)
			}
			return
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Fatal(err)
		}
		rest, err := to.imports(file)
		if err != nil || rest.Present != outcome.Added || rest.Present.Users+rest.Added.Users != linesPerUpdate+12 {
			t.Errorf("after %d units of work and %+v: %+v, %v", stops, outcome, rest, err)
		}
		to.isLeftAs(file)
	}
}

// meanwhile is a store in which something happens before a view of the given number.
type meanwhile struct {
	ports.Store
	before  int
	happens func()
}

func (s *meanwhile) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.before--; s.before == 0 {
		s.happens()
	}
	return s.Store.View(ctx, fn)
}

// Whoever can write to the file while it is brought in may do so after it was checked.
func TestWhatWasNotCheckedIsNotBroughtIn(t *testing.T) {
	h := newHouse(t)
	for i := range 3 * linesPerUpdate {
		u := filled[domain.UserSnapshot](t, fmt.Sprint("user ", i))
		u.Email, u.Handle = "", domain.UserHandle(fmt.Sprint(i))
		h.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
	}
	file := h.exports()
	lines := bytes.SplitAfter(file, []byte("\n"))
	other := bytes.Clone(file)
	at := len(bytes.Join(lines[:linesPerUpdate+20], nil))
	handle := bytes.Index(other[at:], []byte(`"handle":"`)) + at + len(`"handle":"`)
	other[handle] ^= 1 // of a user in the second batch
	to := newHouse(t)
	outcome, err := (&Import{to.store, to.keys}).Execute(t.Context(), &swapped{Reader: bytes.NewReader(file), next: other}, false, silent)
	if code(err) != "invalid_export" || outcome.Added.Users != linesPerUpdate {
		t.Errorf("%+v, %v", outcome, err)
	}
	if _, err := to.imports(file); err != nil {
		t.Errorf("the file as it was: %v", err)
	}
	to.isLeftAs(file)
}

// swapped is a file that becomes another one once it was read.
type swapped struct {
	*bytes.Reader
	next []byte
}

func (s *swapped) Seek(offset int64, whence int) (int64, error) {
	s.Reader = bytes.NewReader(s.next)
	return s.Reader.Seek(offset, whence)
}

// hesitant is a store that begins every view again once it is through.
type hesitant struct{ ports.Store }

func (s hesitant) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return errors.Join(s.Store.View(ctx, fn), s.Store.View(ctx, fn))
}

func TestWhatIsReadTwiceMovesOnce(t *testing.T) {
	h := furnished(t)
	file := h.exports()
	h.store = hesitant{h.store}
	if again := h.exports(); !bytes.Equal(again, file) {
		t.Errorf("exported\n%s\nwant\n%s", again, file)
	}
	to := newHouse(t)
	kept := to.store
	to.store = hesitant{kept}
	for range 2 {
		if _, err := to.imports(file); err != nil {
			t.Error(err)
		}
	}
	to.store = kept
	to.isLeftAs(file)
}

// Whoever comes or goes while an export runs is in the file or not, but never by half.
func TestAnExportBesideAServerCanBeImported(t *testing.T) {
	for view := range 12 {
		for name, happens := range map[string]func(ctx context.Context, tx ports.Tx) error{
			"Ada leaves": func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, person(t, "ada").ID) },
			"Zoe comes": func(ctx context.Context, tx ports.Tx) error {
				zoe := person(t, "zoe")
				m := filled[domain.MessageSnapshot](t, "zoe")
				m.UserID = zoe.ID
				return errors.Join(tx.Users.Add(ctx, domain.RestoreUser(zoe)), tx.Messages.Add(ctx, domain.RestoreMessage(m)))
			},
		} {
			h := furnished(t)
			h.store = &meanwhile{Store: h.store, before: view + 1, happens: func() { h.update(happens) }}
			file := h.exports()
			if outcome, err := newHouse(t).imports(file); err != nil || outcome.Added.Users == 0 {
				t.Errorf("%s before view %d: %+v, %v", name, view+1, outcome, err)
			}
		}
	}
}

// full is where nothing more can be written.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAnExportThatCannotBeWrittenIsNone(t *testing.T) {
	h := furnished(t)
	for _, left := range []int{0, 100, len(h.exports()) - 1} {
		if _, err := (&Export{h.store, clock{}, h.keys}).Execute(t.Context(), &full{left}, silent); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: %v", left, err)
		}
	}
}

func TestAMoveReportsHowFarItIs(t *testing.T) {
	h := newHouse(t)
	for i := range 120 {
		u := filled[domain.UserSnapshot](t, fmt.Sprint("user ", i))
		u.Email, u.Handle = "", domain.UserHandle(fmt.Sprint(i))
		h.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
	}
	var said []string
	report := func(stage Stage, done, total int) { said = append(said, fmt.Sprint(stage, " ", done, " of ", total)) }
	var file bytes.Buffer
	_, exported := (&Export{h.store, clock{}, h.keys}).Execute(t.Context(), &file, report)
	_, imported := (&Import{memory.New(), h.keys}).Execute(t.Context(), bytes.NewReader(file.Bytes()), false, report)
	want := []string{"exporting 50 of 120", "exporting 100 of 120", "exporting 120 of 120", "checking 100 of 120", "importing 100 of 120", "importing 120 of 120"}
	if err := errors.Join(exported, imported); err != nil || !reflect.DeepEqual(said, want) {
		t.Errorf("%q, %v", said, err)
	}
}
