package transfer

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

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return noon }

var testKeys = Keys{bytes.Repeat([]byte{'a'}, 32)}

// fixture is an installation.
type fixture struct {
	t     *testing.T
	store ports.Store
	keys  Keys
}

func newFixture(t *testing.T) *fixture { return &fixture{t, sqlitestore.New(t), testKeys} }

func (h *fixture) update(fn func(ctx context.Context, tx ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), func(tx ports.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// addUser is somebody of that name with one of everything. Names sort as ids do.
func (h *fixture) addUser(name string) domain.UserState {
	h.t.Helper()
	u := testUser(h.t, name)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		key := filledState[domain.CredentialState](h.t, name)
		s := filledState[domain.SessionState](h.t, name)
		s.RevokedAt = time.Time{}
		app := filledState[domain.TOTPState](h.t, name)
		e := filledState[domain.EventState](h.t, name)
		m := filledState[domain.OutboxEmailState](h.t, name)
		key.UserID, s.UserID, app.UserID, e.UserID, m.UserID = u.ID, u.ID, u.ID, u.ID, u.ID
		key.ID, s.Token = domain.CredentialID(name), domain.TokenDigest{name[0]}
		return errors.Join(
			tx.Users.Add(ctx, domain.RestoreUser(u)), tx.Credentials.Add(ctx, domain.RestoreCredential(key)),
			tx.Sessions.Add(ctx, domain.RestoreSession(s)), tx.TOTPs.Save(ctx, domain.RestoreTOTP(app)),
			tx.BackupCodes.Replace(ctx, u.ID, []domain.BackupCodeDigest{{name[0], 2}, {name[0], 1}}, noon),
			tx.Events.Add(ctx, domain.RestoreEvent(e)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)))
	})
	return u
}

// testUser is somebody whose id sorts as their name does.
func testUser(t *testing.T, name string) domain.UserState {
	t.Helper()
	u := filledState[domain.UserState](t, name)
	u.ID = must(domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", name[0])))
	u.Email, u.Handle = domain.Email(name+"@example.org"), domain.UserHandle("handle of "+name)
	return u
}

// newFullFixture has, beside Ada and Ben, one of everything that is nobody's.
func newFullFixture(t *testing.T) *fixture {
	t.Helper()
	h := newFixture(t)
	h.addUser("ada")
	h.addUser("ben")
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filledState[domain.EventState](t, "nobody's")
		e := domain.EventState{ID: full.ID, Kind: full.Kind, At: full.At, Actor: full.Actor, Reason: full.Reason}
		m := filledState[domain.OutboxEmailState](t, "nobody's")
		m.UserID = domain.UserID{}
		return errors.Join(
			tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(filledState[domain.SigningKeyState](t, "key"))),
			tx.Lockouts.Save(ctx, domain.RestoreLockout(filledState[domain.LockoutState](t, "lockout"))),
			tx.Events.Add(ctx, domain.RestoreEvent(e)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)))
	})
	return h
}

func noProgress(Stage, int, int) {}

func (h *fixture) export() []byte {
	h.t.Helper()
	var file bytes.Buffer
	if _, err := (&Service{h.store, clock{}, h.keys}).Export(h.t.Context(), &file, noProgress); err != nil {
		h.t.Fatal(err)
	}
	return file.Bytes()
}

func (h *fixture) importFile(file []byte) (Outcome, error) {
	return (&Service{h.store, clock{}, h.keys}).Import(h.t.Context(), bytes.NewReader(file), false, noProgress)
}

func (h *fixture) importIntoExisting(file []byte) (Outcome, error) {
	return (&Service{h.store, clock{}, h.keys}).Import(h.t.Context(), bytes.NewReader(file), true, noProgress)
}

func (h *fixture) requireExport(before []byte) {
	h.t.Helper()
	if after := h.export(); !bytes.Equal(after, before) {
		h.t.Errorf("something was changed:\n%s\n%s", before, after)
	}
}

func errorCode(err error) string {
	var known *domain.Error
	if errors.As(err, &known) {
		return known.Code
	}
	return fmt.Sprint(err)
}

func TestExportImport_RoundTrip(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	outcome, err := h.importFile(file)
	want := Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 3, SigningKeys: 1, Lockouts: 1, OutboxEmails: 3}
	if err != nil || outcome != (Outcome{Added: want, Total: 2}) {
		t.Fatalf("%+v, %v", outcome, err)
	}
	h.requireExport(file)
	outcome, err = h.importFile(file)
	if err != nil || outcome != (Outcome{Existing: want, Total: 2}) {
		t.Errorf("once more: %+v, %v", outcome, err)
	}
	h.requireExport(file)
}

// Files of this version are about in the world: whoever changes how they are written has made another version.
func TestImport_Version1File(t *testing.T) {
	file, err := os.ReadFile("testdata/version1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	h := newFixture(t)
	if outcome, err := h.importFile(file); err != nil || outcome.Added.Users != 2 {
		t.Fatalf("%+v, %v", outcome, err)
	}
	h.requireExport(file)
}

func TestExportImport_Empty(t *testing.T) {
	file := newFixture(t).export()
	if outcome, err := newFixture(t).importFile(file); err != nil || outcome != (Outcome{}) || bytes.Count(file, []byte("\n")) != 2 {
		t.Errorf("%+v, %v; %s", outcome, err, file)
	}
}

func TestExport_OmitsEndedSessions(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	before := h.export()
	h.update(func(ctx context.Context, tx ports.Tx) error {
		ended := filledState[domain.SessionState](t, "ended")
		expired := filledState[domain.SessionState](t, "expired")
		ended.UserID, expired.UserID = ada.ID, ada.ID
		expired.RevokedAt, expired.IdleEndsAt = time.Time{}, noon
		expired.Token = domain.TokenDigest{'x'}
		return errors.Join(tx.Sessions.Add(ctx, domain.RestoreSession(ended)), tx.Sessions.Add(ctx, domain.RestoreSession(expired)))
	})
	h.requireExport(before)
}

// Of a file that is not whole, or not as it was written, nothing comes in.
func TestImport_RejectsModifiedFile(t *testing.T) {
	file := newFullFixture(t).export()
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
	h := newFixture(t)
	before := h.export()
	for name, bad := range bad {
		if outcome, err := h.importFile(bad); err == nil || outcome != (Outcome{}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		if _, err := h.importIntoExisting(bad); err == nil {
			t.Errorf("%s: it was let in beside others", name)
		}
	}
	h.requireExport(before)
	for name, want := range map[string]string{
		"cut after line 5": errTruncated.Message, "cut after byte 602": errTruncated.Message, "without line 5": errTampered.Message, "line 4 twice": errTampered.Message,
		"followed by more": errTampered.Message, "something else": errNotAnExport.Message, "nothing": errNotAnExport.Message,
		"of another format": errUnsupportedVersion.Message, "users swapped": "line 6 of the export is invalid: users are not sorted by id",
	} {
		if _, err := h.importFile(bad[name]); err == nil || err.Error() != want || errorCode(err) != "invalid_export" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever has the file and not the secret can add nobody to it.
func TestImport_RejectsForgedLines(t *testing.T) {
	file := newFullFixture(t).export()
	forger := newFixture(t)
	forger.keys = Keys{bytes.Repeat([]byte{'m'}, 32)}
	forger.addUser("mallory")
	forged := bytes.SplitAfter(forger.export(), []byte("\n"))
	lines := bytes.SplitAfter(file, []byte("\n"))
	for name, bad := range map[string][]byte{
		"somebody more":                     slices.Concat(append(slices.Clone(lines[:6]), append([][]byte{forged[1]}, lines[6:]...)...)...),
		"under another":                     bytes.Join(forged, nil),
		"under another, made to look right": slices.Concat(append([][]byte{lines[0]}, forged[1:]...)...),
	} {
		h := newFixture(t)
		if _, err := h.importFile(bad); err == nil {
			t.Errorf("%s: it was let in", name)
		}
	}
}

func TestImport_RequiresSecretsOfExport(t *testing.T) {
	a, b, c := bytes.Repeat([]byte{'a'}, 32), bytes.Repeat([]byte{'b'}, 32), bytes.Repeat([]byte{'c'}, 32)
	for name, test := range map[string]struct {
		from, to Keys
		want     error
	}{
		"the same":                  {Keys{a}, Keys{a}, nil},
		"the same, and former ones": {Keys{a, b}, Keys{a, b}, nil},
		"replaced meanwhile":        {Keys{a}, Keys{c, a}, nil},
		"replaced twice":            {Keys{a, b}, Keys{c, b, a}, nil},
		"another":                   {Keys{a}, Keys{b}, errUnknownSecret},
		"only a former one":         {Keys{a, b}, Keys{b}, errUnknownSecret},
		"without the former one":    {Keys{a, b}, Keys{a}, errUnknownPreviousSecret},
		"without one of the former": {Keys{a, b, c}, Keys{a, c}, errUnknownPreviousSecret},
	} {
		from, to := newFullFixture(t), newFixture(t)
		from.keys, to.keys = test.from, test.to
		if outcome, err := to.importFile(from.export()); !errors.Is(err, test.want) || (err == nil) != (outcome.Added.Users == 2) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
	}
}

func TestImport_RequiresIntoExistingForOtherUsers(t *testing.T) {
	file := newFullFixture(t).export() // of Ada and Ben
	for _, others := range [][]string{{"Zoe"}, {"aaron"}, {"ava", "ada"}, {"ada", "ben", "mia"}, {"ben", "\x01first"}, {"b2"}} {
		h := newFixture(t)
		for _, name := range others {
			u := testUser(t, name)
			if name == "aaron" || name == "ava" || name == "b2" {
				u.ID = must(domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%011x0", name[0]<<2)))
			}
			if name != "ada" && name != "ben" {
				u.Email, u.EmailVerifiedAt = "", time.Time{}
				h.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
			} else {
				h.addUser(name)
			}
		}
		before := h.export()
		if outcome, err := h.importFile(file); !errors.Is(err, errNotEmpty) || outcome != (Outcome{}) {
			t.Errorf("beside %v: %+v, %v", others, outcome, err)
		}
		h.requireExport(before)
		if outcome, err := h.importIntoExisting(file); err != nil || outcome.Added.Users+outcome.Existing.Users != 2 {
			t.Errorf("into %v: %+v, %v", others, outcome, err)
		}
		if now := string(h.export()); strings.Count(now, `{"user":`) < 3 {
			t.Errorf("into %v: %s", others, now)
		}
	}
}

func TestImport_Conflicts(t *testing.T) {
	file := newFullFixture(t).export()
	ada := testUser(t, "ada")
	for name, c := range map[string]struct {
		prepare func(ctx context.Context, tx ports.Tx) error
		want    string
	}{
		"a user who is different": {func(ctx context.Context, tx ports.Tx) error {
			other := ada
			other.DisplayName = "Another"
			return tx.Users.Add(ctx, domain.RestoreUser(other))
		}, "user " + ada.ID.String() + " exists and differs from the one in the export"},
		"a user without their passkeys": {func(ctx context.Context, tx ports.Tx) error {
			return tx.Users.Add(ctx, domain.RestoreUser(ada))
		}, "differs from the one in the export"},
		"an address of somebody else's": {func(ctx context.Context, tx ports.Tx) error {
			mallory := testUser(t, "mallory")
			mallory.Email = ada.Email
			return tx.Users.Add(ctx, domain.RestoreUser(mallory))
		}, "user " + ada.ID.String() + " cannot be imported: another user here has the same e-mail address"},
		"a passkey of somebody else's": {func(ctx context.Context, tx ports.Tx) error {
			mallory := testUser(t, "mallory")
			key := filledState[domain.CredentialState](t, "mallory")
			key.ID, key.UserID = "ada", mallory.ID
			return errors.Join(tx.Users.Add(ctx, domain.RestoreUser(mallory)), tx.Credentials.Add(ctx, domain.RestoreCredential(key)))
		}, "user " + ada.ID.String() + " cannot be imported: another user here has one of the passkeys"},
		"an event that is different": {func(ctx context.Context, tx ports.Tx) error {
			full := filledState[domain.EventState](t, "nobody's")
			return tx.Events.Add(ctx, domain.RestoreEvent(domain.EventState{ID: full.ID, Kind: "another", At: full.At, Actor: full.Actor}))
		}, "exists and differs from the one in the export"},
		"a message that is different": {func(ctx context.Context, tx ports.Tx) error {
			m := filledState[domain.OutboxEmailState](t, "nobody's")
			m.UserID = domain.UserID{}
			m.Attempts++
			return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m))
		}, "delivery was attempted since"},
		"a signing key that is different": {func(ctx context.Context, tx ports.Tx) error {
			key := filledState[domain.SigningKeyState](t, "key")
			key.EncryptedKey = []byte("otherwise")
			return tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(key))
		}, "exists and differs from the one in the export"},
	} {
		h := newFixture(t)
		h.update(func(ctx context.Context, tx ports.Tx) error { return c.prepare(ctx, tx) })
		before := h.export()
		if outcome, err := h.importIntoExisting(file); errorCode(err) != "conflict" || !strings.Contains(err.Error(), c.want) || outcome.Added != (Counts{}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		h.requireExport(before)
		if strings.Contains(fmt.Sprint(h.importIntoExisting(file)), "@") {
			t.Errorf("%s: it tells an address", name)
		}
	}
}

// A signing key, an event or a letter that is there beside those of the file is nobody's conflict.
func TestImport_MergesGlobalRecords(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filledState[domain.EventState](t, "other")
		m := filledState[domain.OutboxEmailState](t, "other")
		m.UserID = domain.UserID{}
		key := filledState[domain.SigningKeyState](t, "other")
		key.ID = "another"
		return errors.Join(tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(key)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)),
			tx.Events.Add(ctx, domain.RestoreEvent(domain.EventState{ID: full.ID, Kind: full.Kind, At: full.At, Actor: full.Actor})))
	})
	for range 2 {
		if _, err := h.importFile(file); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &bytes.Buffer{}, noProgress)
	if want := (Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 4, SigningKeys: 2, Lockouts: 1, OutboxEmails: 4}); err != nil || counts != want {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestImport_KeepsStricterLockout(t *testing.T) {
	here := domain.LockoutState{Subject: domain.LockoutSubject{7}, Failures: 3, LockedUntil: noon.Add(time.Hour), UpdatedAt: noon}
	there := domain.LockoutState{Subject: here.Subject, Failures: 9, UpdatedAt: noon.Add(-time.Hour)}
	want := domain.LockoutState{Subject: here.Subject, Failures: 9, LockedUntil: here.LockedUntil, UpdatedAt: noon}
	for _, pair := range [][2]domain.LockoutState{{here, there}, {there, here}} {
		from, to := newFixture(t), newFixture(t)
		for i, h := range []*fixture{from, to} {
			h.update(func(ctx context.Context, tx ports.Tx) error {
				return tx.Lockouts.Save(ctx, domain.RestoreLockout(pair[i]))
			})
		}
		for range 2 {
			if _, err := to.importFile(from.export()); err != nil {
				t.Fatal(err)
			}
			to.update(func(ctx context.Context, tx ports.Tx) error {
				got, err := tx.Lockouts.Get(ctx, here.Subject)
				if got.State() != want {
					t.Errorf("got %+v, %v", got.State(), err)
				}
				return err
			})
		}
	}
}

// retryingStore is a store that begins every unit of work again once it is through.
type retryingStore struct{ ports.Store }

var errSerialization = errors.New("not serializable")

func (s retryingStore) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if err := s.Store.Update(ctx, func(tx ports.Tx) error { return errors.Join(fn(tx), errSerialization) }); err.Error() != errSerialization.Error() {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func TestImport_CountsRetriedTransactionsOnce(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	h.store = retryingStore{h.store}
	if outcome, err := h.importFile(file); err != nil || outcome.Added.Users != 2 || outcome.Existing != (Counts{}) {
		t.Errorf("%+v, %v", outcome, err)
	}
	h.requireExport(file)
}

// failingAfter is a store that lets only so many units of work through.
type failingAfter struct {
	ports.Store
	remaining int
}

func (s *failingAfter) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.remaining--; s.remaining < 0 {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

// Wherever an import ends before its time, whoever is in is in whole, and the next one brings in the rest. A long log may
// be in in part, from its latest entry on.
func TestImport_ResumesAfterError(t *testing.T) {
	from := newFullFixture(t)
	ada := testUser(t, "ada")
	from.update(func(ctx context.Context, tx ports.Tx) error {
		for i := range eventsPerLine + 20 {
			e := filledState[domain.EventState](t, fmt.Sprint("event ", i))
			e.UserID = ada.ID
			if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range linesPerUpdate + 10 {
		u := filledState[domain.UserState](t, fmt.Sprint("user ", i))
		u.Email, u.EmailVerifiedAt, u.Handle = "", time.Time{}, domain.UserHandle(fmt.Sprint(i))
		from.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
	}
	file := from.export()
	if longest := slices.MaxFunc(bytes.Split(file, []byte("\n")), func(a, b []byte) int { return len(a) - len(b) }); len(longest) > 400_000 {
		t.Errorf("a line of %d bytes", len(longest))
	}
	for stops := 0; ; stops++ {
		to := newFixture(t)
		sound := to.store
		to.store = &failingAfter{sound, stops}
		outcome, err := to.importFile(file)
		to.store = sound
		if n := strings.Count(string(to.export()), "\n{\"user\":"); n != outcome.Added.Users {
			t.Errorf("after %d units of work %d users are there, and %d were to be", stops, n, outcome.Added.Users)
		}
		if err == nil {
			if to.requireExport(file); stops < 2 || outcome.Added.Events != eventsPerLine+20+3 {
				t.Errorf("it took %d units of work to add %+v", stops, outcome.Added)
			}
			return
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Fatal(err)
		}
		rest, err := to.importFile(file)
		if err != nil || rest.Existing != outcome.Added || rest.Existing.Users+rest.Added.Users != linesPerUpdate+12 {
			t.Errorf("after %d units of work and %+v: %+v, %v", stops, outcome, rest, err)
		}
		to.requireExport(file)
	}
}

// hookedStore is a store in which something happens before a view of the given number.
type hookedStore struct {
	ports.Store
	countdown int
	hook      func()
}

func (s *hookedStore) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.countdown--; s.countdown == 0 {
		s.hook()
	}
	return s.Store.View(ctx, fn)
}

// A file that another process could write to after the check is not authenticated by it: callers pass a private copy.
func TestImport_RejectsFileChangedAfterCheck(t *testing.T) {
	h := newFullFixture(t)
	file := h.export()
	other := bytes.Clone(file)
	other[bytes.Index(other, []byte(`"handle":"`))+len(`"handle":"`)] ^= 1
	to := newFixture(t)
	outcome, err := (&Service{to.store, clock{}, to.keys}).Import(t.Context(), &swappedFile{Reader: bytes.NewReader(file), next: other}, false, noProgress)
	if errorCode(err) != "invalid_export" || outcome.Added != (Counts{}) {
		t.Errorf("%+v, %v", outcome, err)
	}
	if _, err := to.importFile(file); err != nil {
		t.Errorf("the unmodified file: %v", err)
	}
	to.requireExport(file)
}

// swappedFile is a file that has other contents when it is read again.
type swappedFile struct {
	*bytes.Reader
	next []byte
}

func (s *swappedFile) Seek(offset int64, whence int) (int64, error) {
	s.Reader = bytes.NewReader(s.next)
	return s.Reader.Seek(offset, whence)
}

// rereadingStore is a store that begins every view again once it is through.
type rereadingStore struct{ ports.Store }

func (s rereadingStore) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return errors.Join(s.Store.View(ctx, fn), s.Store.View(ctx, fn))
}

func TestExportImport_RetriedViews(t *testing.T) {
	h := newFullFixture(t)
	file := h.export()
	h.store = rereadingStore{h.store}
	if again := h.export(); !bytes.Equal(again, file) {
		t.Errorf("exported\n%s\nwant\n%s", again, file)
	}
	to := newFixture(t)
	kept := to.store
	to.store = rereadingStore{kept}
	for range 2 {
		if _, err := to.importFile(file); err != nil {
			t.Error(err)
		}
	}
	to.store = kept
	to.requireExport(file)
}

// Whoever comes or goes while an export runs is in the file or not, but never by half.
func TestExport_ConcurrentWrites(t *testing.T) {
	for view := range 12 {
		for name, happens := range map[string]func(ctx context.Context, tx ports.Tx) error{
			"Ada leaves": func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, testUser(t, "ada").ID) },
			"Zoe comes": func(ctx context.Context, tx ports.Tx) error {
				zoe := testUser(t, "zoe")
				m := filledState[domain.OutboxEmailState](t, "zoe")
				m.UserID = zoe.ID
				return errors.Join(tx.Users.Add(ctx, domain.RestoreUser(zoe)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)))
			},
		} {
			h := newFullFixture(t)
			h.store = &hookedStore{Store: h.store, countdown: view + 1, hook: func() { h.update(happens) }}
			file := h.export()
			if outcome, err := newFixture(t).importFile(file); err != nil || outcome.Added.Users == 0 {
				t.Errorf("%s before view %d: %+v, %v", name, view+1, outcome, err)
			}
		}
	}
}

// limitedWriter is where nothing more can be written.
type limitedWriter struct{ remaining int }

var errFull = errors.New("no space left")

func (f *limitedWriter) Write(p []byte) (int, error) {
	if f.remaining -= len(p); f.remaining < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestExport_WriteError(t *testing.T) {
	h := newFullFixture(t)
	for _, left := range []int{0, 100, len(h.export()) - 1} {
		if _, err := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &limitedWriter{left}, noProgress); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: %v", left, err)
		}
	}
}

func TestExportImport_ReportProgress(t *testing.T) {
	h := newFixture(t)
	for i := range 120 {
		u := filledState[domain.UserState](t, fmt.Sprint("user ", i))
		u.Email, u.EmailVerifiedAt, u.Handle = "", time.Time{}, domain.UserHandle(fmt.Sprint(i))
		h.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
	}
	var said []string
	report := func(stage Stage, done, total int) { said = append(said, fmt.Sprint(stage, " ", done, " of ", total)) }
	var file bytes.Buffer
	_, exported := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &file, report)
	_, imported := (&Service{sqlitestore.New(t), clock{}, h.keys}).Import(t.Context(), bytes.NewReader(file.Bytes()), false, report)
	want := []string{"exporting 50 of 120", "exporting 100 of 120", "exporting 120 of 120", "checking 100 of 120", "importing 100 of 120", "importing 120 of 120"}
	if err := errors.Join(exported, imported); err != nil || !reflect.DeepEqual(said, want) {
		t.Errorf("%q, %v", said, err)
	}
}
