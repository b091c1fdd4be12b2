package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// transferDirections are from which store to which one a whole installation is carried.
var transferDirections = map[string]struct{ from, to func(testing.TB) ports.Store }{
	"SQLite to PostgreSQL": {sqliteStore, postgresStore},
	"PostgreSQL to SQLite": {postgresStore, sqliteStore},
}

// Ten thousand users move, once they have been interrupted in the middle, and everybody is as they were: signed in where
// they were, and nowhere else.
func TestTransfer_BetweenStores(t *testing.T) {
	users := 10_000
	if raceDetector || testing.Short() {
		users = 1_000 // the detector makes it ten times as slow and sees the same
	}
	for name, stores := range transferDirections {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			config := settings(t, useCaseOrigin, nil)
			open := func(store ports.Store) *env {
				return &env{t: t, clock: clock, driver: newUseCaseDriver(t, config, store, clock)}
			}
			from, to := stores.from(t), stores.to(t)
			old, moved := open(from), open(to)
			known := old.createPopulation()
			generateUsers(t, from, clock.Now(), users-known.count())
			old.driver.runJobs(t)
			clock.advance(time.Minute)

			file := filepath.Join(t.TempDir(), "keylodge.jsonl")
			old.exportTo(file, users)
			moved.importInterrupted(file, users)
			moved.resumeImport(file)

			again := filepath.Join(t.TempDir(), "again.jsonl")
			moved.exportTo(again, users)
			requireSameFiles(t, file, again)
			moved.verifyPopulation(known)
		})
	}
}

// Whatever the stores on its way, an installation comes out of them as it went in.
func TestTransfer_RoundTrip(t *testing.T) {
	clock := newClock()
	config := settings(t, useCaseOrigin, nil)
	const users = 40
	var former string
	for i, store := range []ports.Store{sqlitestore.New(t), sqliteStore(t), postgresStore(t), sqliteStore(t), sqlitestore.New(t)} {
		l := &env{t: t, clock: clock, driver: newUseCaseDriver(t, config, store, clock)}
		file := filepath.Join(t.TempDir(), "keylodge.jsonl")
		if i == 0 {
			generateUsers(t, store, clock.Now(), users)
		} else {
			l.resumeImport(former)
		}
		if l.exportTo(file, users); i > 0 {
			requireSameFiles(t, former, file)
		}
		former = file
	}
}

// population are those of an installation whose devices are at hand.
type population struct {
	ada, ben *person
	app      totpApp  // Ada's
	codes    []string // Ben's
	others   []*person
}

func (s population) count() int { return 2 + len(s.others) }

func (l *env) createPopulation() population {
	l.t.Helper()
	s := population{ada: l.person("Ada", phone), ben: l.appClient("Ben")}
	s.ada.email = "ada@example.org"
	s.ada.signsUp()
	s.app = l.enrolTOTP(s.ada)
	s.ben.signsUp()
	s.ben.addsPasskey("Blue key", securityKey)
	s.codes = s.ben.makesBackupCodes()
	s.ben.refreshes()
	for i := range 20 {
		resident := l.person(fmt.Sprint("Resident ", i), []deviceKind{phone, securityKey}[i%2])
		resident.signsUp()
		s.others = append(s.others, resident)
	}
	return s
}

// verifyPopulation has everybody go on at another server with what they have.
func (l *env) verifyPopulation(s population) {
	l.t.Helper()
	usecases := l.driver.operator()
	for _, p := range append([]*person{s.ada, s.ben}, s.others...) {
		p.apiDevice().api.(*useCaseAPI).usecases = usecases
		p.requireSignedIn()
	}
	s.ben.refreshes()
	s.ben.requireSignedIn()
	for _, p := range s.others {
		p.signsOut()
		p.signsIn()
	}
	l.clock.advance(time.Minute)
	s.app.env = l
	code := s.app.code()
	l.onNewDevice(s.ada).recovers(recoveryProof{email: s.ada.email, totpCode: code})
	l.onNewDevice(s.ada).requireRecoveryRejected(recoveryProof{email: s.ada.email, totpCode: code}, "invalid_code")
	l.onNewDevice(s.ben).recovers(recoveryProof{backupCode: s.codes[4]})
	l.onNewDevice(s.ben).requireRecoveryRejected(recoveryProof{backupCode: s.codes[4]}, "invalid_code")
}

func (l *env) exportTo(name string, users int) {
	l.t.Helper()
	file, err := os.Create(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	var heap heapUsage
	counts, err := l.driver.operator().Transfer.Export(l.t.Context(), file, heap.watch)
	if err != nil || counts.Users != users {
		l.t.Fatalf("exported %+v, %v", counts, err)
	}
	heap.requireSmall(l.t, file)
}

// importInterrupted is interrupted in the middle: whoever is in is in whole.
func (l *env) importInterrupted(name string, users int) {
	l.t.Helper()
	ctx, interrupt := context.WithCancel(l.t.Context())
	defer interrupt()
	outcome, err := l.importFrom(ctx, name, func(stage transfer.Stage, done, _ int) {
		if stage == transfer.Importing && done >= users/2 {
			interrupt()
		}
	})
	if !errors.Is(err, context.Canceled) || outcome.Added.Users < users/2 || outcome.Added.Users >= users {
		l.t.Fatalf("imported %+v, %v", outcome, err)
	}
	if n := countUsers(l.t, l.driver.operator()); n != outcome.Added.Users {
		l.t.Fatalf("%d users are there, and %d were to be", n, outcome.Added.Users)
	}
}

func (l *env) resumeImport(name string) {
	l.t.Helper()
	there := countUsers(l.t, l.driver.operator())
	var heap heapUsage
	outcome, err := l.importFrom(l.t.Context(), name, heap.watch)
	if err != nil || outcome.Existing.Users != there || outcome.Added.Users != outcome.Total-there {
		l.t.Fatalf("imported %+v, %v", outcome, err)
	}
	file, err := os.Open(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	heap.requireSmall(l.t, file)
}

func (l *env) importFrom(ctx context.Context, name string, report transfer.ProgressFunc) (transfer.Outcome, error) {
	l.t.Helper()
	file, err := os.Open(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	return l.driver.operator().Transfer.Import(ctx, file, false, report)
}

func countUsers(t testing.TB, usecases application.UseCases) (n int) {
	t.Helper()
	var after domain.UserID
	for {
		page, err := usecases.Admin.ListUsers(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if n += len(page); len(page) == 0 {
			return n
		}
		after = page[len(page)-1].ID()
	}
}

// heapUsage watches what a move holds in memory.
type heapUsage struct{ before, most uint64 }

func (h *heapUsage) watch(_ transfer.Stage, done, _ int) {
	if done%1000 >= 100 && h.before > 0 {
		return
	}
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	if h.before == 0 {
		h.before = now.HeapAlloc
	}
	h.most = max(h.most, now.HeapAlloc)
}

// requireSmall fails the test if a move has come to hold more and more of its file.
func (h *heapUsage) requireSmall(t testing.TB, file *os.File) {
	t.Helper()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || h.before == 0 {
		t.Fatal(err, h.before)
	}
	grown := max(h.most, h.before) - h.before
	t.Logf("a file of %d MB; it came to hold %d kB more than in the beginning", size>>20, grown>>10)
	if limit := uint64(8 << 20); grown > limit {
		t.Errorf("it came to hold %d kB more than in the beginning, of a file of %d kB", grown>>10, size>>10)
	}
}

func requireSameFiles(t *testing.T, names ...string) {
	t.Helper()
	var texts [2][]byte
	for i, name := range names {
		var err error
		if texts[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(texts[0], texts[1]) {
		return
	}
	one, other := bytes.Split(texts[0], []byte("\n")), bytes.Split(texts[1], []byte("\n"))
	for i := range min(len(one), len(other)) {
		if !bytes.Equal(one[i], other[i]) {
			t.Fatalf("line %d of %d and %d differs:\n%.2000s\n%.2000s", i+1, len(one), len(other), one[i], other[i])
		}
	}
	t.Fatalf("%d lines have become %d", len(one), len(other))
}
