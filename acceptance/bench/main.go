package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == limitsCommand {
		exitWith(serveLimits(os.Args[2]))
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/keylodge", "the server's binary")
	flag.Float64Var(&o.seconds, "seconds", 5, "duration of one measurement")
	flag.StringVar(&o.peer, "peer", "", `origin and command of a second server, for example "http://localhost:3000 node server.js"`)
	flag.Parse()
	exitWith(run(o, os.Stdout))
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	binary  string
	seconds float64
	peer    string
}

func run(o options, out io.Writer) (err error) {
	duration := time.Duration(o.seconds * float64(time.Second))
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	cores, err := splitCores()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "keylodge-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	servers, err := newServers(o, binary, folder, cores)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := s.run(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.kill()) }()
	}
	limits, err := measureLimits(servers[0], duration/2)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "limits, CPU: verify %.1f us, sign %.1f us, bare route %.1f us, durable row %.1f us; login %.1f us\n\n",
		limits.Verify, limits.Sign, limits.Route, limits.Row, limits.Login)
	fmt.Fprintf(out, "%-20s %-14s %8s %10s %10s %10s %10s %8s %s\n", "server", "operation", "clients", "per second", "p50 us", "p99 us", "CPU us", "x limit", "errors")
	for _, op := range []operation{signUps, logins, sessionChecks} {
		for _, clients := range []int{1, 16, 64} {
			for _, s := range servers[1:] {
				m, err := measure(s, op, clients, duration)
				if err != nil {
					return err
				}
				limit := limits.Login
				if op.name == sessionChecks.name {
					limit = limits.Route
				}
				fmt.Fprintf(out, "%-20s %-14s %8d %10.0f %10.0f %10.0f %10.0f %8.1f %d %s\n", m.Server, m.Operation, m.Clients, m.PerSecond, m.P50, m.P99, m.CPU, m.CPU/limit, m.Errors, m.FirstFailure)
			}
		}
	}
	return nil
}

// newServers returns the server of the limits first.
func newServers(o options, binary, folder string, cores *cores) ([]*server, error) {
	sub := func(name string) string { return filepath.Join(folder, name) }
	for _, name := range []string{"limits", "sqlite", "peer"} {
		if err := os.Mkdir(sub(name), 0o700); err != nil {
			return nil, err
		}
	}
	limits, err := newLimits(sub("limits"), cores)
	if err != nil {
		return nil, err
	}
	product, err := newKeylodge("keylodge, SQLite", binary, sub("sqlite"), cores)
	if err != nil {
		return nil, err
	}
	servers := []*server{limits, product}
	if o.peer != "" {
		peer, err := newPeer(o.peer, sub("peer"), cores)
		if err != nil {
			return nil, err
		}
		servers = append(servers, peer)
	}
	return servers, nil
}
