package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	_ "github.com/ncruces/go-sqlite3/driver" // the product's

	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// Limits are the CPU times, in microseconds, of what a login cannot avoid. They are measured in a process of its own on the core of
// the servers.
type Limits struct {
	Verify float64 `json:"verify_us"` // one verification of a P-256 signature
	Sign   float64 `json:"sign_us"`   // one ES256 signature
	Route  float64 `json:"route_us"`  // one request to a route that does nothing, with 64 clients
	Row    float64 `json:"row_us"`    // one row in SQLite with synchronous=FULL, in a transaction of 64
	Login  float64 `json:"login_us"`  // two requests and one of each of the others
}

// limitsCommand is the argument with which this program is the server of the limits.
const limitsCommand = "limits"

// rowsPerCommit is the size of the largest group commit of 64 clients.
const rowsPerCommit = 64

// bare is the dialect of the server of the limits.
type bare struct{ keylodge }

func (bare) health() string { return "/bare" }

var bareRequests = operation{"bare route", func(_ *server, c *conn) (func() error, error) {
	return func() error {
		_, err := c.do("GET", "/bare", nil)
		return err
	}, nil
}}

// newLimits returns the server of the limits.
func newLimits(folder string, cores *cores) (*server, error) {
	host, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &server{
		name: "limits", dialect: bare{}, origin: "http://" + host, host: host, command: []string{program, limitsCommand, host},
		folder: folder, env: os.Environ(), cores: cores,
	}, nil
}

// measureLimits measures each limit for this duration. Like in the other measurements, the cores of the clients are busy: two cores may
// share the units of one.
func measureLimits(s *server, duration time.Duration) (l Limits, err error) {
	route, err := measure(s, bareRequests, 64, duration)
	if err != nil {
		return l, err
	}
	c, err := dial(s.host)
	if err != nil {
		return l, err
	}
	defer c.close()
	stop := keepBusy()
	defer stop()
	for _, limit := range []struct {
		path string
		cost *float64
	}{{"/verify", &l.Verify}, {"/sign", &l.Sign}, {"/row", &l.Row}} {
		before, err := s.cpu()
		if err != nil {
			return l, err
		}
		body, err := c.do("GET", limit.path+"?duration="+duration.String(), nil)
		if err != nil {
			return l, err
		}
		var count int
		if err := json.Unmarshal(body, &count); err != nil {
			return l, err
		}
		after, err := s.cpu()
		if err != nil {
			return l, err
		}
		*limit.cost = microseconds(after-before) / float64(count)
	}
	l.Route = route.CPU
	l.Login = 2*l.Route + l.Verify + l.Sign + l.Row
	return l, nil
}

// keepBusy signs on every core of this process, as the clients do, until stop is called.
func keepBusy() (stop func()) {
	var stopping atomic.Bool
	var signers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		signers.Go(func() {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			for digest := make([]byte, sha256.Size); err == nil && !stopping.Load(); {
				_, err = ecdsa.SignASN1(rand.Reader, key, digest)
			}
		})
	}
	return func() {
		stopping.Store(true)
		signers.Wait()
	}
}

// serveLimits is the process of the limits. Its routes repeat one thing for the given duration and return how often.
func serveLimits(host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("a message"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return err
	}
	row, err := rowWriter()
	if err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/bare", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) })
	app.Get("/verify", repeated(1, func() error {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return errors.New("the signature is wrong")
		}
		return nil
	}))
	app.Get("/sign", repeated(1, func() error {
		_, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		return err
	}))
	app.Get("/row", repeated(rowsPerCommit, row))
	return app.Listen(host)
}

// repeated returns the handler of a limit. One call of once counts as this number.
func repeated(number int, once func() error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		duration, err := time.ParseDuration(c.Query("duration"))
		if err != nil {
			return err
		}
		count := 0
		for began := time.Now(); time.Since(began) < duration; count += number {
			if err := once(); err != nil {
				return err
			}
		}
		return c.JSON(count)
	}
}

// rowWriter returns a function that commits rowsPerCommit rows to a new database in the working directory.
func rowWriter() (func() error, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(folder, "limits.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "CREATE TABLE rows (id BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"); err != nil {
		return nil, fmt.Errorf("creating the table: %w", err)
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO rows (id, value) VALUES (?, ?)") //nolint:sqlclosecheck // used until the process ends
	if err != nil {
		return nil, err
	}
	value := make([]byte, 200)
	return func() error { // all on the one connection of the pool
		if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		for range rowsPerCommit {
			id := make([]byte, 16)
			_, _ = rand.Read(id) // never fails
			if _, err := insert.ExecContext(ctx, id, value); err != nil {
				return err
			}
		}
		_, err := db.ExecContext(ctx, "COMMIT")
		return err
	}, nil
}
