package httpapi

import (
	"errors"
	"io"
	"net"
	"testing"
)

// read sends the pieces one by one and returns what arrived, and how it ended.
func read(t *testing.T, pieces ...string) (string, error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		for _, piece := range pieces {
			if _, err := io.WriteString(there, piece); err != nil {
				return
			}
		}
	}()
	arrived, err := io.ReadAll(&connection{Conn: here})
	return string(arrived), err
}

// A line may arrive in any pieces.
func TestARequestLineInLFIsRefusedHoweverItArrives(t *testing.T) {
	for _, c := range []struct {
		raw     string
		refused bool
	}{
		{"GET / HTTP/1.1\nHost: localhost\r\n\r\n", true},
		{"GET / HTTP/1.0\n\n", true},
		{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\nHost: localhost\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"{\n\"x\": \"HTTP/1.1\"\n}\n", false},
		{"\n\n\n\n", false},
		{"HTTP/11\n", false},
	} {
		for at := range c.raw {
			for to := at; to < len(c.raw); to++ {
				arrived, err := read(t, c.raw[:at], c.raw[at:to], c.raw[to:])
				if errors.Is(err, errBareLineFeed) != c.refused || !c.refused && arrived != c.raw {
					t.Fatalf("%q, in pieces of %d and %d: %q, %v", c.raw, at, to-at, arrived, err)
				}
			}
		}
	}
}
