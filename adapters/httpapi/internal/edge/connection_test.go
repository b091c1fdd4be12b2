package edge

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// readPieces sends the pieces one by one, and returns the bytes that a connection reads and its error.
func readPieces(t *testing.T, pieces ...string) (string, error) {
	t.Helper()
	server, client := net.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		for _, piece := range pieces {
			if _, err := io.WriteString(client, piece); err != nil {
				return
			}
		}
	}()
	arrived, err := io.ReadAll(&connection{Conn: server})
	return string(arrived), err
}

// The bytes before an error are read, in whatever pieces they arrive, and every later read returns the error.
// Requirement: ASVS-4.2.1
func TestConnection_ReadsUpToFirstFramingError(t *testing.T) {
	const chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		valid, invalid string
		err            error
	}{
		{"GET / HTTP/1.1", "\nHost: localhost\r\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\nHost: localhost", "\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1", "\nHost: localhost\r\n\r\n", errBareLineFeed},
		{"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{\n}GET / HTTP/1.1", "\n\r\n", errBareLineFeed},
		{"GET / HTTP/1.1\r\nX: a\r\n b\r", "\n\r\n", errObsFold},
		{chunked + "2\r\n{}\r\n2x\r", "\n", errMalformedChunk},
		{chunked + "2\r\n{}\r\n0", "\n\r\n", errBareLineFeed},
		{chunked + "2\r\n{}\r\n0\r\n", "\n", errBareLineFeed},
		{chunked + "1\r\n\n\r\n0\r\n\r\n", "\n\n", errBareLineFeed},
		{chunked + "0\r\n\r\n" + chunked + "2x\r", "\n", errMalformedChunk},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", nil},
		{"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\n\n\nGET / HTTP/1.1\r\n\r\n", "", nil},
		{"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n\n", "", nil}, // fasthttp rejects it
	} {
		raw := c.valid + c.invalid
		for at := range raw {
			for to := at; to < len(raw); to++ {
				arrived, err := readPieces(t, raw[:at], raw[at:to], raw[to:])
				if !errors.Is(err, c.err) || arrived != c.valid {
					t.Fatalf("%q split after %d and %d more bytes: read %q, %v", raw, at, to-at, arrived, err)
				}
			}
		}
	}
}

// The framing of chunks is limited, in whatever form.
// Requirement: ASVS-4.2.1
func TestScanner_LimitsChunkFraming(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	extension := func(size int) string { return ";" + strings.Repeat("x", size-1) }
	for name, c := range map[string]struct {
		chunk    string // is sent repeatedly
		accepted int    // the least number of times
	}{
		"chunks of one byte":          {"1\r\n{\r\n", MaxBodySize},
		"zeros before one byte":       {"000000000000001\r\n{\r\n", 1000},
		"a line of the largest size":  {"1" + extension(maxChunkLineSize-2) + "\r\n{\r\n", 500},
		"a line that is too long":     {"1" + extension(maxChunkLineSize) + "\r\n{\r\n", 0},
		"an endless extension":        {"1;" + strings.Repeat("x", 1<<20), 0},
		"an endless quoted value":     {"1;a=\"" + strings.Repeat("x", 1<<20), 0},
		"endless spaces":              {"1" + strings.Repeat(" ", 1<<20), 0},
		"many short extensions":       {"1" + strings.Repeat(";a", 1<<20), 0},
		"an endless trailer field":    {"0\r\nX: " + strings.Repeat("x", 1<<20), 0},
		"a trailer of many lines":     {"0\r\n" + strings.Repeat("X: x\r\n", 1<<18), 0},
		"an endless size":             {strings.Repeat("0", 1<<20), 0},
		"content that is too large":   {"100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n", 0},
		"content, a little too large": {"3fff\r\n" + strings.Repeat("x", 0x3fff) + "\r\n", 4},
	} {
		t.Run(name, func(t *testing.T) {
			var s scanner
			if n, err := s.scan([]byte(head)); n != len(head) || err != nil {
				t.Fatal(n, err)
			}
			total, times := 0, 0
			for s.state != scanDone {
				n, err := s.scan([]byte(c.chunk))
				if total += n; total > maxChunkedSize {
					t.Fatalf("accepted %d bytes, more than the limit", total)
				}
				if err != nil {
					break
				}
				times++
			}
			if times < c.accepted {
				t.Errorf("accepted %d times, want %d", times, c.accepted)
			}
		})
	}
}

// Requirement: ASVS-4.2.1
func TestScanner_ChunkLines(t *testing.T) {
	for line, want := range map[string]int{
		"0": 0, "00": 0, "2": 2, "a": 10, "A": 10, "ff": 255, "000000000000002": 2, "2 ": 2, "2\t": 2,
		"2;a": 2, "2;a=b": 2, "2;a=\"b\"": 2, "2;a=\"\"": 2, `2;a="b;c=\"d\\"`: 2, "2;a=b;c;d=e": 2, "2 ; a = b ; c": 2, "2;a=\"\xe9\t\"": 2,
	} {
		if size, err := chunkSize([]byte(line)); size != want || err != nil {
			t.Errorf("chunkSize(%q) = %d, %v, want %d", line, size, err, want)
		}
	}
	for _, line := range []string{
		"", " ", ";a", " 2", "+2", "-2", "0x2", "2_0", "2.0", "g", "2g", "2 2", "2,2", "0000000000000002", "ffffffffffffffff",
		"2;", "2;;", "2;a;", "2;=b", "2;a=", "2;a=b c", "2;a b", "2;a=\"b", "2;a=b\"", `2;a="b\"`, "2;a=\"b\"c", "2;a=\"\rb\"", "2;a\rb", "2;a\x00", "2;a=\"\x00\"",
		"2;a=\"\x7f\"", "2;\xe9", "2;a@b", "2;(a)", "2\r", "2\v", "2\x00",
	} {
		if size, err := chunkSize([]byte(line)); err == nil {
			t.Errorf("chunkSize(%q) = %d, want an error", line, size)
		}
	}
}
