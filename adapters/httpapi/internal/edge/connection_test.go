package edge

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// readPieces sends the pieces one by one and returns what arrived, and how it ended.
func readPieces(t *testing.T, pieces ...string) (string, error) {
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

// Bytes may arrive in any pieces. What comes before a fault arrives, and the connection stays broken behind it.
func TestConnection_ReadsUpToFirstFramingError(t *testing.T) {
	const chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		sound, unsound string
		fault          error
	}{
		{"GET / HTTP/1.1", "\nHost: localhost\r\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\nHost: localhost", "\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1", "\nHost: localhost\r\n\r\n", errBareLineFeed},
		{"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{\n}GET / HTTP/1.1", "\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\nX: a\r\n b\r", "\n\r\n", errObsFold},
		{chunked + "2\r\n{}\r\n2x\r", "\n", errMalformedChunk},
		{chunked + "2\r\n{}\r\n0", "\n\r\n", errBareLineFeed},
		{chunked + "2\r\n{}\r\n0\r\n", "\n", errBareLineFeed},
		{chunked + "1\r\n\n\r\n0\r\n\r\n\n\n", "", nil}, // nothing is read behind chunks
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", nil},
		{"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\n\n\nGET / HTTP/1.1\r\n\r\n", "", nil},
		{"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n\n", "", nil}, // which fasthttp refuses
	} {
		raw := c.sound + c.unsound
		for at := range raw {
			for to := at; to < len(raw); to++ {
				arrived, err := readPieces(t, raw[:at], raw[at:to], raw[to:])
				if !errors.Is(err, c.fault) || arrived != c.sound {
					t.Fatalf("%q, in pieces of %d and %d: %q, %v", raw, at, to-at, arrived, err)
				}
			}
		}
	}
}

// What stands beside the content of chunks is bounded, however it comes.
func TestScanner_LimitsChunkFraming(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	extension := func(size int) string { return ";" + strings.Repeat("x", size-1) }
	for name, c := range map[string]struct {
		chunk string // that comes again and again
		fits  int    // how often it may, at least
	}{
		"chunks of one byte":          {"1\r\n{\r\n", MaxBodySize},
		"zeros before one byte":       {"000000000000001\r\n{\r\n", 1000},
		"the longest line":            {"1" + extension(maxChunkLineSize-2) + "\r\n{\r\n", 500},
		"a line that is too long":     {"1" + extension(maxChunkLineSize) + "\r\n{\r\n", 0},
		"an extension without end":    {"1;" + strings.Repeat("x", 1<<20), 0},
		"an extension in quotes":      {"1;a=\"" + strings.Repeat("x", 1<<20), 0},
		"blanks without end":          {"1" + strings.Repeat(" ", 1<<20), 0},
		"many short extensions":       {"1" + strings.Repeat(";a", 1<<20), 0},
		"a trailer without end":       {"0\r\nX: " + strings.Repeat("x", 1<<20), 0},
		"a trailer of many lines":     {"0\r\n" + strings.Repeat("X: x\r\n", 1<<18), 0},
		"a size without end":          {strings.Repeat("0", 1<<20), 0},
		"content that is too large":   {"100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n", 0},
		"content, a little too large": {"3fff\r\n" + strings.Repeat("x", 0x3fff) + "\r\n", 4},
	} {
		t.Run(name, func(t *testing.T) {
			var s scanner
			if n, err := s.scan([]byte(head)); n != len(head) || err != nil {
				t.Fatal(n, err)
			}
			taken, times := 0, 0
			for s.state != scanDone {
				n, err := s.scan([]byte(c.chunk))
				if taken += n; taken > maxChunkedSize {
					t.Fatalf("%d bytes were taken", taken)
				}
				if err != nil {
					break
				}
				times++
			}
			if times < c.fits {
				t.Errorf("it fits in %d times, want %d", times, c.fits)
			}
		})
	}
}

func TestScanner_ChunkLines(t *testing.T) {
	for line, want := range map[string]int{
		"0": 0, "00": 0, "2": 2, "a": 10, "A": 10, "ff": 255, "000000000000002": 2, "2 ": 2, "2\t": 2,
		"2;a": 2, "2;a=b": 2, "2;a=\"b\"": 2, "2;a=\"\"": 2, `2;a="b;c=\"d\\"`: 2, "2;a=b;c;d=e": 2, "2 ; a = b ; c": 2, "2;a=\"\xe9\t\"": 2,
	} {
		if size, err := chunkSize([]byte(line)); size != want || err != nil {
			t.Errorf("%q: %d, %v", line, size, err)
		}
	}
	for _, line := range []string{
		"", " ", ";a", " 2", "+2", "-2", "0x2", "2_0", "2.0", "g", "2g", "2 2", "2,2", "0000000000000002", "ffffffffffffffff",
		"2;", "2;;", "2;a;", "2;=b", "2;a=", "2;a=b c", "2;a b", "2;a=\"b", "2;a=b\"", `2;a="b\"`, "2;a=\"b\"c", "2;a=\"\rb\"", "2;a\rb", "2;a\x00", "2;a=\"\x00\"",
		"2;a=\"\x7f\"", "2;\xe9", "2;a@b", "2;(a)", "2\r", "2\v", "2\x00",
	} {
		if size, err := chunkSize([]byte(line)); err == nil {
			t.Errorf("%q: %d", line, size)
		}
	}
}
