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

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return noon }

type keyRing = domain.KeyRing[domain.UserState]

var testKeys = keyRing{bytes.Repeat([]byte{'a'}, 32)}

// fixture is a server with its own database.
type fixture struct {
	t     *testing.T
	store ports.Store
	keys  keyRing
}

func newFixture(t *testing.T) *fixture { return &fixture{t, sqlitestore.New(t), testKeys} }

func (h *fixture) update(fn func(ctx context.Context, tx ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), func(tx ports.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// addUser adds a user with one record of each kind. Users are sorted by name as by id.
func (h *fixture) addUser(name string) domain.UserState {
	h.t.Helper()
	u := testUser(h.t, name)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		key := filledState[passkey](h.t, name)
		s := filledState[domain.SessionState](h.t, name)
		s.RevokedAt = time.Time{}
		app := filledState[domain.TOTPState](h.t, name)
		invite := filledState[domain.InviteState](h.t, name)
		invite.UserID, invite.RevokedAt, invite.Token = u.ID, time.Time{}, domain.TokenDigest{name[0]}
		e := filledState[domain.EventState](h.t, name)
		m := filledState[domain.OutboxEmailState](h.t, name)
		key.UserID, s.UserID, app.UserID, e.UserID, m.UserID = u.ID, u.ID, u.ID, u.ID, u.ID
		key.ID, s.Token = domain.CredentialID(name), domain.TokenDigest{name[0]}
		return errors.Join(
			tx.Users.Add(ctx, domain.RestoreUser(u)), tx.Credentials.Add(ctx, domain.RestoreCredential(key.CredentialState), key.Attestation),
			tx.Sessions.Add(ctx, domain.RestoreSession(s)), tx.TOTPs.Save(ctx, domain.RestoreTOTP(app)), tx.Invites.Add(ctx, domain.RestoreInvite(invite)),
			tx.BackupCodes.Replace(ctx, u.ID, []domain.BackupCodeDigest{{name[0], 2}, {name[0], 1}}, noon),
			tx.Events.Add(ctx, domain.RestoreEvent(e)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)))
	})
	return u
}

// addUsers adds n users without an e-mail address or a passkey.
func (h *fixture) addUsers(n int) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx ports.Tx) error {
		for i := range n {
			u := filledState[domain.UserState](h.t, fmt.Sprint("user ", i))
			u.Email, u.EmailVerifiedAt, u.Handle = "", time.Time{}, domain.UserHandle(fmt.Sprint(i))
			if err := tx.Users.Add(ctx, domain.RestoreUser(u)); err != nil {
				return err
			}
		}
		return nil
	})
}

// testUser returns a user with an id that sorts as the name does.
func testUser(t *testing.T, name string) domain.UserState {
	t.Helper()
	u := filledState[domain.UserState](t, name)
	u.ID = must(domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", name[0])))
	u.Email, u.Handle = domain.Email(name+"@example.org"), domain.UserHandle("handle of "+name)
	return u
}

// newFullFixture has the users ada and ben, and one record of each kind that has no user.
func newFullFixture(t *testing.T) *fixture {
	t.Helper()
	h := newFixture(t)
	h.addUser("ada")
	h.addUser("ben")
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filledState[domain.EventState](t, "no user")
		e := domain.EventState{ID: full.ID, Kind: full.Kind, At: full.At, Actor: full.Actor, Reason: full.Reason}
		invite := filledState[domain.InviteState](t, "invite")
		invite.UsedAt, invite.UserID = time.Time{}, domain.UserID{}
		m := filledState[domain.OutboxEmailState](t, "no user")
		m.UserID = domain.UserID{}
		return errors.Join(
			tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(filledState[domain.SigningKeyState](t, "key"))),
			tx.Lockouts.Save(ctx, domain.RestoreLockout(filledState[domain.LockoutState](t, "lockout"))),
			tx.Invites.Add(ctx, domain.RestoreInvite(invite)),
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

func (h *fixture) mergeImport(file []byte) (Outcome, error) {
	return (&Service{h.store, clock{}, h.keys}).Import(h.t.Context(), bytes.NewReader(file), true, noProgress)
}

func (h *fixture) requireExport(before []byte) {
	h.t.Helper()
	if after := h.export(); !bytes.Equal(after, before) {
		h.t.Errorf("the database was changed:\n%s\n%s", before, after)
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
	want := Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 3, SigningKeys: 1, Lockouts: 1, Invites: 3, OutboxEmails: 3}
	if err != nil || outcome != (Outcome{Added: want, Total: 2}) {
		t.Fatalf("%+v, %v", outcome, err)
	}
	h.requireExport(file)
	outcome, err = h.importFile(file)
	if err != nil || outcome != (Outcome{Existing: want, Total: 2}) {
		t.Errorf("second import: %+v, %v", outcome, err)
	}
	h.requireExport(file)
}

// Users have files of version 1. A change of their encoding needs a new version.
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

// A truncated or modified file changes nothing.
func TestImport_RejectsModifiedFile(t *testing.T) {
	file := newFullFixture(t).export()
	lines := bytes.SplitAfter(file, []byte("\n"))
	lines = lines[:len(lines)-1] // the empty element after the last line feed
	without := func(i int) []byte { return bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil) }
	swapped := func(i, j int) []byte {
		all := slices.Clone(lines)
		all[i], all[j] = all[j], all[i]
		return bytes.Join(all, nil)
	}
	bad := map[string][]byte{
		"an empty file":     nil,
		"another file":      []byte("Dear diary,\n"),
		"another JSON":      []byte("{}\n"),
		"followed by more":  append(slices.Clone(file), '\n'),
		"two exports":       slices.Concat(file, file),
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
		if _, err := h.mergeImport(bad); err == nil {
			t.Errorf("%s: imported into existing users", name)
		}
	}
	h.requireExport(before)
	for name, want := range map[string]string{
		"cut after line 5": errTruncated.Message, "cut after byte 602": errTruncated.Message, "without line 5": errTampered.Message, "line 4 twice": errTampered.Message,
		"followed by more": errTampered.Message, "another file": errNotAnExport.Message, "an empty file": errNotAnExport.Message,
		"of another format": errUnsupportedVersion.Message, "users swapped": "line 6 of the export is invalid: users are not sorted by id",
	} {
		if _, err := h.importFile(bad[name]); err == nil || err.Error() != want || errorCode(err) != "invalid_export" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An attacker with the file and without the secret cannot add a user to it.
func TestImport_RejectsForgedLines(t *testing.T) {
	file := newFullFixture(t).export()
	forger := newFixture(t)
	forger.keys = keyRing{bytes.Repeat([]byte{'m'}, 32)}
	forger.addUser("mallory")
	forged := bytes.SplitAfter(forger.export(), []byte("\n"))
	lines := bytes.SplitAfter(file, []byte("\n"))
	for name, bad := range map[string][]byte{
		"a user more":                            slices.Concat(append(slices.Clone(lines[:6]), append([][]byte{forged[1]}, lines[6:]...)...)...),
		"signed with another secret":             bytes.Join(forged, nil),
		"another secret, header of the original": slices.Concat(append([][]byte{lines[0]}, forged[1:]...)...),
	} {
		h := newFixture(t)
		if _, err := h.importFile(bad); err == nil {
			t.Errorf("%s: imported", name)
		}
	}
}

func TestImport_RequiresSecretsOfExport(t *testing.T) {
	a, b, c := bytes.Repeat([]byte{'a'}, 32), bytes.Repeat([]byte{'b'}, 32), bytes.Repeat([]byte{'c'}, 32)
	for name, test := range map[string]struct {
		from, to keyRing
		want     error
	}{
		"the same":                     {keyRing{a}, keyRing{a}, nil},
		"the same, with previous ones": {keyRing{a, b}, keyRing{a, b}, nil},
		"replaced meanwhile":           {keyRing{a}, keyRing{c, a}, nil},
		"replaced twice":               {keyRing{a, b}, keyRing{c, b, a}, nil},
		"another":                      {keyRing{a}, keyRing{b}, ErrUnknownSecret},
		"only a previous one":          {keyRing{a, b}, keyRing{b}, ErrUnknownSecret},
		"without the previous one":     {keyRing{a, b}, keyRing{a}, ErrUnknownPreviousSecret},
		"without one of the previous":  {keyRing{a, b, c}, keyRing{a, c}, ErrUnknownPreviousSecret},
	} {
		from, to := newFullFixture(t), newFixture(t)
		from.keys, to.keys = test.from, test.to
		if outcome, err := to.importFile(from.export()); !errors.Is(err, test.want) || (err == nil) != (outcome.Added.Users == 2) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
	}
}

func TestImport_RequiresMergeForOtherUsers(t *testing.T) {
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
		if outcome, err := h.importFile(file); !errors.Is(err, ErrOtherUsers) || outcome != (Outcome{}) {
			t.Errorf("with other users %v: %+v, %v", others, outcome, err)
		}
		h.requireExport(before)
		if outcome, err := h.mergeImport(file); err != nil || outcome.Added.Users+outcome.Existing.Users != 2 {
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
		"an address of another user": {func(ctx context.Context, tx ports.Tx) error {
			mallory := testUser(t, "mallory")
			mallory.Email = ada.Email
			return tx.Users.Add(ctx, domain.RestoreUser(mallory))
		}, "user " + ada.ID.String() + " cannot be imported: another user here has the same e-mail address"},
		"a passkey of another user": {func(ctx context.Context, tx ports.Tx) error {
			mallory := testUser(t, "mallory")
			key := filledState[passkey](t, "mallory")
			key.ID, key.UserID = "ada", mallory.ID
			return errors.Join(tx.Users.Add(ctx, domain.RestoreUser(mallory)), tx.Credentials.Add(ctx, domain.RestoreCredential(key.CredentialState), key.Attestation))
		}, "user " + ada.ID.String() + " cannot be imported: another user here has one of the passkeys"},
		"an event that is different": {func(ctx context.Context, tx ports.Tx) error {
			full := filledState[domain.EventState](t, "no user")
			return tx.Events.Add(ctx, domain.RestoreEvent(domain.EventState{ID: full.ID, Kind: "another", At: full.At, Actor: full.Actor}))
		}, "exists and differs from the one in the export"},
		"an e-mail that is different": {func(ctx context.Context, tx ports.Tx) error {
			m := filledState[domain.OutboxEmailState](t, "no user")
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
		if outcome, err := h.mergeImport(file); errorCode(err) != "conflict" || !strings.Contains(err.Error(), c.want) || outcome.Added != (Counts{}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		h.requireExport(before)
		if strings.Contains(fmt.Sprint(h.mergeImport(file)), "@") {
			t.Errorf("%s: the error contains an address", name)
		}
	}
}

func TestImport_ComparesAttestations(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	if _, err := h.importFile(file); err != nil {
		t.Fatal(err)
	}
	h.update(func(ctx context.Context, tx ports.Tx) error {
		key := must(tx.Credentials.ByID(ctx, "ada"))
		return errors.Join(tx.Credentials.Remove(ctx, "ada"), tx.Credentials.Add(ctx, key, filledState[domain.Attestation](t, "another")))
	})
	if _, err := h.importFile(file); errorCode(err) != "conflict" || !strings.Contains(err.Error(), "differs from the one in the export") {
		t.Errorf("got %v", err)
	}
}

// Signing keys, events, invites and e-mails that are not in the file do not conflict with it.
func TestImport_MergesGlobalRecords(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	h.update(func(ctx context.Context, tx ports.Tx) error {
		full := filledState[domain.EventState](t, "other")
		m := filledState[domain.OutboxEmailState](t, "other")
		m.UserID = domain.UserID{}
		key := filledState[domain.SigningKeyState](t, "other")
		key.ID = "another"
		invite := filledState[domain.InviteState](t, "other")
		invite.UsedAt, invite.UserID, invite.Token = time.Time{}, domain.UserID{}, domain.TokenDigest{1}
		return errors.Join(tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(key)), tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m)), tx.Invites.Add(ctx, domain.RestoreInvite(invite)),
			tx.Events.Add(ctx, domain.RestoreEvent(domain.EventState{ID: full.ID, Kind: full.Kind, At: full.At, Actor: full.Actor})))
	})
	for range 2 {
		if _, err := h.importFile(file); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &bytes.Buffer{}, noProgress)
	if want := (Counts{Users: 2, Passkeys: 2, Sessions: 2, Events: 4, SigningKeys: 2, Lockouts: 1, Invites: 4, OutboxEmails: 4}); err != nil || counts != want {
		t.Errorf("%+v, %v", counts, err)
	}
}

// Requirement: NIST-3.2.2
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

func TestImport_CountsRetriedTransactionsOnce(t *testing.T) {
	file := newFullFixture(t).export()
	h := newFixture(t)
	h.store = sqlitestore.Retrying{Store: h.store}
	if outcome, err := h.importFile(file); err != nil || outcome.Added.Users != 2 || outcome.Existing != (Counts{}) {
		t.Errorf("%+v, %v", outcome, err)
	}
	h.requireExport(file)
}

// failingAfter is a store whose Update fails after the given number of calls.
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

// After an interrupted import each user is imported completely or not at all, and the next import adds the rest. Of a long
// audit log the older part may be missing.
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
	from.addUsers(linesPerUpdate + 10)
	file := from.export()
	if longest := slices.MaxFunc(bytes.Split(file, []byte("\n")), func(a, b []byte) int { return len(a) - len(b) }); len(longest) > 400_000 {
		t.Errorf("a line of %d bytes", len(longest))
	}
	for stops := 0; ; stops++ {
		to := newFixture(t)
		store := to.store
		to.store = &failingAfter{store, stops}
		outcome, err := to.importFile(file)
		to.store = store
		if n := strings.Count(string(to.export()), "\n{\"user\":"); n != outcome.Added.Users {
			t.Errorf("after %d transactions the database has %d users, want %d", stops, n, outcome.Added.Users)
		}
		if err == nil {
			if to.requireExport(file); stops < 2 || outcome.Added.Events != eventsPerLine+20+3 {
				t.Errorf("%d transactions added %+v", stops, outcome.Added)
			}
			return
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Fatal(err)
		}
		rest, err := to.importFile(file)
		if err != nil || rest.Existing != outcome.Added || rest.Existing.Users+rest.Added.Users != linesPerUpdate+12 {
			t.Errorf("after %d transactions and %+v: %+v, %v", stops, outcome, rest, err)
		}
		to.requireExport(file)
	}
}

// hookedStore calls hook before the View with the number countdown.
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

// Another process changes the file between the two readings. Import must not write the batch with the change.
func TestImport_RejectsFileChangedAfterCheck(t *testing.T) {
	from := newFixture(t)
	from.addUsers(2*linesPerUpdate + 50)
	file := from.export()
	lines := bytes.SplitAfter(file, []byte("\n"))
	changed := func(number int) []byte {
		other := slices.Clone(lines)
		other[number] = bytes.Clone(lines[number])
		other[number][bytes.Index(other[number], []byte(`"handle":"`))+len(`"handle":"`)] ^= 1
		return bytes.Join(other, nil)
	}
	for name, c := range map[string]struct {
		next     []byte
		imported int // users
	}{
		"first line of the first batch": {changed(1), 0},
		"last line of the first batch":  {changed(linesPerUpdate), 0},
		"a line of the middle batch":    {changed(linesPerUpdate + 50), linesPerUpdate},
		"first line of the last batch":  {changed(2*linesPerUpdate + 1), 2 * linesPerUpdate},
		"last line of the last batch":   {changed(2*linesPerUpdate + 50), 2 * linesPerUpdate},
		"another export":                {newFullFixture(t).export(), 0},
		"an empty export":               {newFixture(t).export(), 0},
	} {
		to := newFixture(t)
		outcome, err := (&Service{to.store, clock{}, to.keys}).Import(t.Context(), &swappedFile{Reader: bytes.NewReader(file), next: c.next}, false, noProgress)
		if errorCode(err) != "invalid_export" || outcome.Added != (Counts{Users: c.imported}) {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		if n := strings.Count(string(to.export()), "\n{\"user\":"); n != c.imported {
			t.Errorf("%s: %d users were written, want %d", name, n, c.imported)
		}
		if _, err := to.importFile(file); err != nil {
			t.Errorf("%s: importing the unmodified file: %v", name, err)
		}
		to.requireExport(file)
	}
}

// swappedFile is a file with other contents on the second reading.
type swappedFile struct {
	*bytes.Reader
	next []byte
}

func (s *swappedFile) Seek(offset int64, whence int) (int64, error) {
	s.Reader = bytes.NewReader(s.next)
	return s.Reader.Seek(offset, whence)
}

// rereadingStore runs every View twice.
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
	store := to.store
	to.store = rereadingStore{store}
	for range 2 {
		if _, err := to.importFile(file); err != nil {
			t.Error(err)
		}
	}
	to.store = store
	to.requireExport(file)
}

// A user who is added or removed during an export is in the file completely or not at all.
func TestExport_ConcurrentWrites(t *testing.T) {
	for view := range 12 {
		for name, happens := range map[string]func(ctx context.Context, tx ports.Tx) error{
			"ada is removed": func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, testUser(t, "ada").ID) },
			"zoe is added": func(ctx context.Context, tx ports.Tx) error {
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

// limitedWriter fails after the given number of bytes.
type limitedWriter struct{ remaining int }

var errFull = errors.New("no space left")

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.remaining -= len(p); w.remaining < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestExport_WriteError(t *testing.T) {
	h := newFullFixture(t)
	for _, left := range []int{0, 100, len(h.export()) - 1} {
		if _, err := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &limitedWriter{left}, noProgress); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", left, err)
		}
	}
}

func TestExportImport_ReportProgress(t *testing.T) {
	h := newFixture(t)
	h.addUsers(120)
	var reports []string
	report := func(stage Stage, done, total int) {
		reports = append(reports, fmt.Sprint(stage, " ", done, " of ", total))
	}
	var file bytes.Buffer
	_, exportErr := (&Service{h.store, clock{}, h.keys}).Export(t.Context(), &file, report)
	_, importErr := (&Service{sqlitestore.New(t), clock{}, h.keys}).Import(t.Context(), bytes.NewReader(file.Bytes()), false, report)
	want := []string{"exporting 50 of 120", "exporting 100 of 120", "exporting 120 of 120", "checking 100 of 120", "importing 100 of 120", "importing 120 of 120"}
	if err := errors.Join(exportErr, importErr); err != nil || !reflect.DeepEqual(reports, want) {
		t.Errorf("%q, %v", reports, err)
	}
}
