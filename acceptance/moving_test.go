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

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/moving"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// moves are from which store to which one a whole installation is carried.
var moves = map[string]struct{ from, to func(testing.TB) ports.Store }{
	"SQLite to PostgreSQL": {sqliteStore, postgresStore},
	"PostgreSQL to SQLite": {postgresStore, sqliteStore},
}

// Ten thousand users move, once they have been interrupted in the middle, and everybody is as they were: signed in where
// they were, and nowhere else.
func TestAnInstallationMoves(t *testing.T) {
	users := 10_000
	if raceDetector || testing.Short() {
		users = 1_000 // the detector makes it ten times as slow and sees the same
	}
	for name, stores := range moves {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			config := settings(t, useCaseOrigin, nil)
			open := func(store ports.Store) *lodge {
				return &lodge{t: t, clock: clock, door: openUseCases(t, config, store, clock)}
			}
			from, to := stores.from(t), stores.to(t)
			old, moved := open(from), open(to)
			known := old.settlesIn()
			fill(t, from, clock.Now(), users-known.number())
			old.door.settle(t)
			clock.advance(time.Minute)

			file := filepath.Join(t.TempDir(), "keylodge.jsonl")
			old.exports(file, users)
			moved.importsHalf(file, users)
			moved.importsTheRest(file)

			again := filepath.Join(t.TempDir(), "again.jsonl")
			moved.exports(again, users)
			wantSameFile(t, file, again)
			moved.letsIn(known)
		})
	}
}

// Whatever the stores on its way, an installation comes out of them as it went in.
func TestAnInstallationMovesBackAndForth(t *testing.T) {
	clock := newClock()
	config := settings(t, useCaseOrigin, nil)
	const users = 40
	var former string
	for i, store := range []ports.Store{memoryStore(t), sqliteStore(t), postgresStore(t), sqliteStore(t), memoryStore(t)} {
		l := &lodge{t: t, clock: clock, door: openUseCases(t, config, store, clock)}
		file := filepath.Join(t.TempDir(), "keylodge.jsonl")
		if i == 0 {
			fill(t, store, clock.Now(), users)
		} else {
			l.importsTheRest(former)
		}
		if l.exports(file, users); i > 0 {
			wantSameFile(t, former, file)
		}
		former = file
	}
}

// settlers are those of an installation whose devices are at hand.
type settlers struct {
	ada, ben  *person
	app       app      // Ada's
	codes     []string // Ben's
	residents []*person
}

func (s settlers) number() int { return 2 + len(s.residents) }

func (l *lodge) settlesIn() settlers {
	l.t.Helper()
	s := settlers{ada: l.person("Ada", phone), ben: l.program("Ben")}
	s.ada.email = "ada@example.org"
	s.ada.signsUp()
	s.app = l.setsUpApp(s.ada)
	s.ben.signsUp()
	s.ben.addsPasskey("Blue key", securityKey)
	s.codes = s.ben.writesDownCodes()
	s.ben.refreshes()
	for i := range 20 {
		resident := l.person(fmt.Sprint("Resident ", i), []deviceKind{phone, securityKey}[i%2])
		resident.signsUp()
		s.residents = append(s.residents, resident)
	}
	return s
}

// letsIn has everybody go on at another server with what they have.
func (l *lodge) letsIn(s settlers) {
	l.t.Helper()
	usecases := l.door.operator()
	for _, p := range append([]*person{s.ada, s.ben}, s.residents...) {
		p.script().connection.(*directConnection).usecases = usecases
		p.isSignedIn()
	}
	s.ben.refreshes()
	s.ben.isSignedIn()
	for _, p := range s.residents {
		p.signsOut()
		p.signsIn()
	}
	l.clock.advance(time.Minute)
	s.app.lodge = l
	code := s.app.shows()
	l.losesEverything(s.ada).recovers(claim{email: s.ada.email, totpCode: code})
	l.losesEverything(s.ada).cannotRecover(claim{email: s.ada.email, totpCode: code}, "invalid_code")
	l.losesEverything(s.ben).recovers(claim{backupCode: s.codes[4]})
	l.losesEverything(s.ben).cannotRecover(claim{backupCode: s.codes[4]}, "invalid_code")
}

func (l *lodge) exports(name string, users int) {
	l.t.Helper()
	file, err := os.Create(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	var heap heap
	counts, err := l.door.operator().Moving.Export.Execute(l.t.Context(), file, heap.watch)
	if err != nil || counts.Users != users {
		l.t.Fatalf("exported %+v, %v", counts, err)
	}
	heap.wantSmall(l.t, file)
}

// importsHalf is interrupted in the middle: whoever is in is in whole.
func (l *lodge) importsHalf(name string, users int) {
	l.t.Helper()
	ctx, interrupt := context.WithCancel(l.t.Context())
	defer interrupt()
	outcome, err := l.imports(ctx, name, func(stage moving.Stage, done, _ int) {
		if stage == moving.Importing && done >= users/2 {
			interrupt()
		}
	})
	if !errors.Is(err, context.Canceled) || outcome.Added.Users < users/2 || outcome.Added.Users >= users {
		l.t.Fatalf("imported %+v, %v", outcome, err)
	}
	if n := countUsers(l.t, l.door.operator()); n != outcome.Added.Users {
		l.t.Fatalf("%d users are there, and %d were to be", n, outcome.Added.Users)
	}
}

func (l *lodge) importsTheRest(name string) {
	l.t.Helper()
	there := countUsers(l.t, l.door.operator())
	var heap heap
	outcome, err := l.imports(l.t.Context(), name, heap.watch)
	if err != nil || outcome.Present.Users != there || outcome.Added.Users != outcome.Total-there {
		l.t.Fatalf("imported %+v, %v", outcome, err)
	}
	file, err := os.Open(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	heap.wantSmall(l.t, file)
}

func (l *lodge) imports(ctx context.Context, name string, report moving.Report) (moving.Outcome, error) {
	l.t.Helper()
	file, err := os.Open(name)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	return l.door.operator().Moving.Import.Execute(ctx, file, false, report)
}

func countUsers(t testing.TB, usecases application.UseCases) (n int) {
	t.Helper()
	var after domain.UserID
	for {
		page, err := usecases.Admin.ListUsers.Execute(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if n += len(page); len(page) == 0 {
			return n
		}
		after = page[len(page)-1].ID()
	}
}

// heap watches what a move holds in memory.
type heap struct{ before, most uint64 }

func (h *heap) watch(_ moving.Stage, done, _ int) {
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

// wantSmall fails the test if a move has come to hold more and more of its file.
func (h *heap) wantSmall(t testing.TB, file *os.File) {
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

func wantSameFile(t *testing.T, names ...string) {
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
