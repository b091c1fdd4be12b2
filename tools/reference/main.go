// Command reference writes the pages of docs/reference that describe what the sources declare, and the lists of settings in
// .env.example and README.md. With -check it writes nothing, prints the files that are out of date, and exits with 1 if there is
// one.
//
// Usage: reference [-check] FOLDER
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// page is a generated file.
type page struct {
	path     string // from the root of the project
	generate func(*project) (string, error)
}

var pages = []page{
	{"docs/reference/settings.md", settingsPage},
	{".env.example", dotenvExample},
	{"README.md", readmeTable},
	{"docs/reference/api.md", apiPage},
	{"docs/reference/errors.md", errorsPage},
	{"docs/reference/events.md", eventsPage},
	{"docs/reference/log-messages.md", logPage},
	{"docs/reference/doctor-checks.md", doctorPage},
}

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if a file is out of date")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: reference [-check] FOLDER")
		os.Exit(2)
	}
	outdated, err := run(flag.Arg(0), *check)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(2)
	}
	for _, path := range outdated {
		fmt.Fprintln(os.Stderr, path+" is out of date")
	}
	if len(outdated) > 0 {
		os.Exit(1)
	}
}

// run writes the pages. With check it returns the paths of those that it would change.
func run(root string, check bool) (outdated []string, err error) {
	p, err := load(root)
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		want, err := page.generate(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", page.path, err)
		}
		path := filepath.Join(root, page.path)
		got, err := os.ReadFile(path)
		switch {
		case err != nil && !os.IsNotExist(err):
			return nil, err
		case bytes.Equal(got, []byte(want)):
		case check:
			outdated = append(outdated, page.path)
		default:
			if err := os.WriteFile(path, []byte(want), fs.FileMode(0o644)); err != nil {
				return nil, err
			}
		}
	}
	return outdated, nil
}
