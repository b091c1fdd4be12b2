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

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// transferDirections has the stores of an export and of its import.
var transferDirections = map[string]struct{ from, to func(testing.TB) ports.Store }{
	"SQLite to PostgreSQL": {sqliteStore, postgresStore},
	"PostgreSQL to SQLite": {postgresStore, sqliteStore},
}

// Ten thousand users are transferred, with an interrupted import. Afterwards all users have the same sessions, passkeys and
// factors.
func TestTransfer_BetweenStores(t *testing.T) {
	users := 10_000
	if raceDetector || testing.Short() {
		users = 1_000 // the race detector makes the test ten times as slow
	}
	for name, stores := range transferDirections {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			config := settings(t, useCaseOrigin, nil)
			open := func(store ports.Store) *env {
				return &env{t: t, clock: clock, driver: newUseCaseDriver(t, config, store, clock)}
			}
			from, to := stores.from(t), stores.to(t)
			source, target := open(from), open(to)
			pop := source.createPopulation()
			generateUsers(t, from, clock.Now(), users-pop.count())
			source.driver.runJobs(t)
			clock.advance(time.Minute)

			file := filepath.Join(t.TempDir(), "keylodge.jsonl")
			source.exportTo(file, users)
			target.importInterrupted(file, users)
			target.resumeImport(file)

			second := filepath.Join(t.TempDir(), "again.jsonl")
			target.exportTo(second, users)
			requireSameFiles(t, file, second)
			target.verifyPopulation(pop)
		})
	}
}

// An export is the same after transfers through several stores.
// It measures the heap, so no other test runs beside it.
func TestTransfer_RoundTrip(t *testing.T) {
	clock := newClock()
	config := settings(t, useCaseOrigin, nil)
	const users = 40
	var previous string
	for i, store := range []ports.Store{sqlitestore.New(t), sqliteStore(t), postgresStore(t), sqliteStore(t), sqlitestore.New(t)} {
		e := &env{t: t, clock: clock, driver: newUseCaseDriver(t, config, store, clock)}
		file := filepath.Join(t.TempDir(), "keylodge.jsonl")
		if i == 0 {
			generateUsers(t, store, clock.Now(), users)
		} else {
			e.resumeImport(previous)
		}
		if e.exportTo(file, users); i > 0 {
			requireSameFiles(t, previous, file)
		}
		previous = file
	}
}

// population has users whose devices the test uses after the transfer.
type population struct {
	ada, ben *person
	app      totpApp  // Ada's
	codes    []string // Ben's
	others   []*person
}

func (pop population) count() int { return 2 + len(pop.others) }

func (e *env) createPopulation() population {
	e.t.Helper()
	pop := population{ada: e.person("Ada", phone), ben: e.appClient("Ben")}
	pop.ada.email = "ada@example.org"
	pop.ada.signsUp()
	pop.app = e.enrolTOTP(pop.ada)
	pop.ben.signsUp()
	pop.ben.addsPasskey("Blue key", securityKey)
	pop.codes = pop.ben.makesBackupCodes()
	pop.ben.refreshes()
	for i := range 20 {
		user := e.person(fmt.Sprint("User ", i), []deviceKind{phone, securityKey}[i%2])
		user.signsUp()
		pop.others = append(pop.others, user)
	}
	return pop
}

// verifyPopulation checks that all users can continue at another server with their devices and codes.
func (e *env) verifyPopulation(pop population) {
	e.t.Helper()
	usecases := e.driver.operator()
	for _, p := range append([]*person{pop.ada, pop.ben}, pop.others...) {
		p.apiDevice().api.(*useCaseAPI).usecases = usecases
		p.requireSignedIn()
	}
	pop.ben.refreshes()
	pop.ben.requireSignedIn()
	for _, p := range pop.others {
		p.signsOut()
		p.signsIn()
	}
	e.clock.advance(time.Minute)
	pop.app.env = e
	code := pop.app.code()
	e.onNewDevice(pop.ada).recovers(recoveryProof{email: pop.ada.email, totpCode: code})
	e.onNewDevice(pop.ada).requireRecoveryRejected(recoveryProof{email: pop.ada.email, totpCode: code}, "invalid_code")
	e.onNewDevice(pop.ben).recovers(recoveryProof{backupCode: pop.codes[4]})
	e.onNewDevice(pop.ben).requireRecoveryRejected(recoveryProof{backupCode: pop.codes[4]}, "invalid_code")
}

func (e *env) exportTo(name string, users int) {
	e.t.Helper()
	file, err := os.Create(name)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	var heap heapUsage
	counts, err := e.driver.operator().Transfer.Export(e.t.Context(), file, heap.watch)
	if err != nil || counts.Users != users {
		e.t.Fatalf("exported %+v, %v", counts, err)
	}
	heap.requireSmall(e.t, file)
}

// importInterrupted cancels an import in the middle. It fails the test unless exactly the reported users are stored.
func (e *env) importInterrupted(name string, users int) {
	e.t.Helper()
	ctx, interrupt := context.WithCancel(e.t.Context())
	defer interrupt()
	outcome, err := e.importFrom(ctx, name, func(stage transfer.Stage, done, _ int) {
		if stage == transfer.Importing && done >= users/2 {
			interrupt()
		}
	})
	if !errors.Is(err, context.Canceled) || outcome.Added.Users < users/2 || outcome.Added.Users >= users {
		e.t.Fatalf("imported %+v, %v", outcome, err)
	}
	if n := countUsers(e.t, e.driver.operator()); n != outcome.Added.Users {
		e.t.Fatalf("%d users are stored, want %d", n, outcome.Added.Users)
	}
}

func (e *env) resumeImport(name string) {
	e.t.Helper()
	existing := countUsers(e.t, e.driver.operator())
	var heap heapUsage
	outcome, err := e.importFrom(e.t.Context(), name, heap.watch)
	if err != nil || outcome.Existing.Users != existing || outcome.Added.Users != outcome.Total-existing {
		e.t.Fatalf("imported %+v, %v", outcome, err)
	}
	file, err := os.Open(name)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	heap.requireSmall(e.t, file)
}

func (e *env) importFrom(ctx context.Context, name string, report transfer.ProgressFunc) (transfer.Outcome, error) {
	e.t.Helper()
	file, err := os.Open(name)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	return e.driver.operator().Transfer.Import(ctx, file, false, report)
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

// heapUsage measures the heap during a transfer.
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

// requireSmall fails the test if the heap has grown by more than 8 MiB.
func (h *heapUsage) requireSmall(t testing.TB, file *os.File) {
	t.Helper()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || h.before == 0 {
		t.Fatal(err, h.before)
	}
	growth := max(h.most, h.before) - h.before
	t.Logf("the heap grew by %d kB for a file of %d MB", growth>>10, size>>20)
	if limit := uint64(8 << 20); growth > limit {
		t.Errorf("the heap grew by %d kB for a file of %d kB", growth>>10, size>>10)
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
	t.Fatalf("the files have %d and %d lines", len(one), len(other))
}
