package main

import (
	"errors"
	"flag"
	"fmt"
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
	flag.StringVar(&o.out, "out", "", "folder for results.json, results.md and latency.svg; none are written without it")
	flag.Float64Var(&o.seconds, "seconds", 5, "duration of one measurement")
	flag.Float64Var(&o.overload, "overload", 60, "duration of the overload in seconds; 0 for none")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite, or postgres to measure PostgreSQL too")
	flag.StringVar(&o.scale, "scale", "", "number of users of a filled database that is measured too, for example 1m")
	flag.StringVar(&o.peer, "peer", "", `origin and command of a server to compare with, for example "http://localhost:3000 node server.js"`)
	flag.Parse()
	results, err := run(o, func(format string, values ...any) { _, _ = fmt.Fprintf(os.Stderr, format, values...) })
	if err == nil {
		_, err = fmt.Print(results.markdown()) //nolint:forbidigo // this is what the program is for
	}
	if err == nil && o.out != "" {
		err = results.write(o.out)
	}
	exitWith(err)
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	binary   string
	out      string
	seconds  float64
	overload float64
	database string
	scale    string
	peer     string
}

// clientCounts are the numbers of clients of the measurements. The most of them are those of the targets.
var clientCounts = []int{1, 16, 64}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }

// progress shows what a run does, as fmt.Printf does.
type progress func(format string, values ...any)

func run(o options, progress progress) (r *Results, err error) {
	r = &Results{Seconds: o.seconds}
	r.describe()
	if o.scale != "" {
		if r.Users, err = parseScale(o.scale); err != nil {
			return nil, err
		}
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return nil, err
	}
	file, err := os.Stat(o.binary)
	if err != nil {
		return nil, err
	}
	r.BinaryBytes = file.Size()
	cores, err := splitCores()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "keylodge-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	servers, limits, err := newServers(o, folder, cores)
	defer func() {
		for _, s := range append(servers, limits) {
			err = errors.Join(err, s.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if s.filled {
			if err := fill(s, r.Users, progress); err != nil {
				return nil, err
			}
		}
		process, err := startServer(s)
		if err != nil {
			return nil, err
		}
		r.Servers = append(r.Servers, process)
	}
	if err := limits.run(); err != nil {
		return nil, err
	}
	if r.Limits, err = measureLimits(limits, seconds(o.seconds/2)); err != nil {
		return nil, err
	}
	if err := r.measureAll(servers, seconds(o.seconds), progress); err != nil {
		return nil, err
	}
	for i, s := range servers {
		if r.Servers[i].Peak, err = memory(s.process.PID(), "VmHWM"); err != nil {
			return nil, err
		}
	}
	for _, s := range servers {
		if o.overload > 0 && !s.filled && s.name != asPeer {
			progress("%s: login, %d clients, for %g s\n", s.name, overloadClients, o.overload)
			result, err := overload(s, seconds(o.overload))
			if err != nil {
				return nil, err
			}
			r.Overloads = append(r.Overloads, result)
		}
	}
	r.judge()
	return r, nil
}

// measureAll performs each measurement on all servers in turn, so that other work on the machine distorts all of them alike.
func (r *Results) measureAll(servers []*server, duration time.Duration, progress progress) error {
	for _, op := range []operation{signUps, logins, sessionChecks, cookieChecks} {
		for _, clients := range clientCounts {
			for _, s := range servers {
				if op.name == cookieChecks.name && s.name == asPeer {
					continue
				}
				progress("%s: %s, clients: %d\n", s.name, op.name, clients)
				m, err := measure(s, op, clients, duration)
				if err != nil {
					return err
				}
				r.Measurements = append(r.Measurements, m)
			}
		}
	}
	return nil
}

// startServer starts the server and looks at its memory when nothing happens.
func startServer(s *server) (Server, error) {
	if err := s.run(); err != nil {
		return Server{}, err
	}
	time.Sleep(time.Second)
	idle, err := memory(s.process.PID(), "VmRSS")
	return Server{Name: s.name, Start: microseconds(s.start) / 1000, Idle: idle}, err
}

// newServers returns the servers that are measured, and the server of the limits. It returns what it has also with an error.
func newServers(o options, folder string, cores *cores) (servers []*server, limits *server, err error) {
	own := func(name string) string { return filepath.Join(folder, name) }
	for _, name := range []string{"limits", "sqlite", "filled", "postgres", "peer"} {
		if err := os.Mkdir(own(name), 0o700); err != nil {
			return nil, nil, err
		}
	}
	if limits, err = newLimits(own("limits"), cores); err != nil {
		return nil, nil, err
	}
	add := func(s *server, err error) error {
		if err == nil {
			servers = append(servers, s)
		}
		return err
	}
	if err := add(newKeylodge(onSQLite, o.binary, own("sqlite"), cores)); err != nil {
		return servers, limits, err
	}
	if o.scale != "" {
		if err := add(newKeylodge(onFilled, o.binary, own("filled"), cores)); err != nil {
			return servers, limits, err
		}
		servers[len(servers)-1].filled = true
	}
	switch o.database {
	case "sqlite":
	case "postgres":
		if err := add(newOnPostgres(onPostgres, o.binary, own("postgres"), cores)); err != nil {
			return servers, limits, err
		}
	default:
		return servers, limits, fmt.Errorf("invalid DATABASE %q: want sqlite or postgres", o.database)
	}
	if o.peer != "" {
		if err := add(newPeer(o.peer, own("peer"), cores)); err != nil {
			return servers, limits, err
		}
	}
	return servers, limits, nil
}
