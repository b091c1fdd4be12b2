package httpapi

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// scanner follows the bytes of a connection and finds what fasthttp takes and other programs read differently or not at all
// (RFC 9112, sections 2.2, 5.2 and 7.1): lines that end in LF alone, folded headers, and chunks that are malformed or bring
// more framing than content. fasthttp reads what stands behind the size of a chunk without a limit.
//
// It looks for nothing else: checkFraming has the headers, and fasthttp the rest. The zero value is for a new connection.
type scanner struct {
	part   part
	begun  bool   // there is a request line
	line   []byte // what has come of a line that is not whole
	length int    // of the body, as the headers say; lengthOfChunks for chunks
	left   int    // what is still to come of a body, or of a chunk with its CRLF
	framed int    // what has come of a body in chunks, all its framing included
}

// part is where in a connection the next byte belongs.
type part int

const (
	inHead part = iota
	inBody
	inChunkLine
	inChunk
	inTrailer
	inNothing // that is read: fasthttp refuses the request, or the connection ends with it
)

// Bounds of a body in chunks. Chunks of one byte each take six times what they hold.
const (
	maxChunkLineSize = 1 << 10
	maxChunkedSize   = 8 * maxBodySize
)

var (
	errBareLineFeed = errors.New("a line ends in LF without CR")
	errFold         = errors.New("a header goes on in the next line")
	errChunk        = errors.New("a chunk is malformed, or the chunks are mostly framing")
)

// scan returns how much of what was read comes before the first fault, and the fault.
func (s *scanner) scan(read []byte) (int, error) {
	for at := 0; at < len(read) && s.part != inNothing; {
		chunked := s.part == inChunkLine || s.part == inChunk || s.part == inTrailer
		n, err := s.step(read[at:])
		if err != nil {
			return at + n, err
		}
		if chunked {
			if s.framed += n; s.framed > maxChunkedSize {
				return at, errChunk
			}
		}
		at += n
	}
	return len(read), nil
}

// step takes what belongs to the current part, up to the end of a line.
func (s *scanner) step(read []byte) (int, error) {
	if s.part == inBody || s.part == inChunk {
		n := min(s.left, len(read))
		s.left -= n
		switch {
		case s.left > 0:
		case s.part == inBody:
			s.part = inHead
		default:
			s.part = inChunkLine
		}
		return n, nil
	}
	end := bytes.IndexByte(read, '\n')
	if end < 0 {
		s.line = append(s.line, read...)
		if err := s.checkLength(); err != nil {
			return 0, err
		}
		return len(read), nil
	}
	line := read[:end]
	if len(s.line) > 0 {
		s.line = append(s.line, line...)
		line, s.line = s.line, s.line[:0]
	}
	line, whole := bytes.CutSuffix(line, []byte("\r"))
	if !whole {
		return end, errBareLineFeed
	}
	if err := s.take(line); err != nil {
		return end, err
	}
	return end + 1, nil
}

// checkLength bounds what is kept of a line. One of the head or of a trailer is refused by fasthttp, whose buffer it does not fit
// into.
func (s *scanner) checkLength() error {
	switch {
	case s.part == inChunkLine && len(s.line) > maxChunkLineSize:
		return errChunk
	case len(s.line) > maxHeaderSize:
		s.part, s.line = inNothing, nil
	}
	return nil
}

// take takes a whole line, without its end.
func (s *scanner) take(line []byte) error {
	switch s.part {
	case inChunkLine:
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		s.part, s.left = inChunk, size+len("\r\n")
		if size == 0 {
			s.part = inTrailer
		}
	case inTrailer:
		if len(line) == 0 {
			s.part = inNothing
		}
	default:
		return s.takeHead(line)
	}
	return nil
}

func (s *scanner) takeHead(line []byte) error {
	switch {
	case !s.begun:
		// Empty lines before a request are no part of it (RFC 9112, section 2.2).
		s.begun, s.length = len(line) > 0, 0
	case len(line) == 0:
		s.begun = false
		switch {
		case s.length == lengthOfChunks:
			s.part, s.framed = inChunkLine, 0
		case s.length > 0:
			s.part, s.left = inBody, s.length
		}
	case line[0] == ' ' || line[0] == '\t':
		return errFold
	default:
		s.measure(line)
	}
	return nil
}

// measure takes from a header what it says of the body's length. What it cannot read is refused elsewhere, as is any
// Transfer-Encoding but chunked.
func (s *scanner) measure(line []byte) {
	name, value, _ := strings.Cut(string(line), ":")
	switch {
	case strings.EqualFold(name, fiber.HeaderTransferEncoding):
		s.length = lengthOfChunks
	case strings.EqualFold(name, fiber.HeaderContentLength) && s.length != lengthOfChunks:
		length, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 31)
		if err != nil {
			s.part = inNothing
			return
		}
		s.length = int(length)
	}
}

// chunkLine is the size of a chunk and its extensions (RFC 9112, sections 7.1 and 7.1.1).
var chunkLine = regexp.MustCompile(`^[0-9A-Fa-f]{1,15}(?:` + blank + `;` + blank + word + `(?:` + blank + `=` + blank + `(?:` + word + `|` + quoted + `))?)*` + blank + `$`)

const (
	blank  = `[ \t]*`
	word   = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	quoted = `"(?:[^\x00-\x08\x0A-\x1F"\\\x7F]|\\[^\x00-\x08\x0A-\x1F\x7F])*"`
)

func chunkSize(line []byte) (int, error) {
	if len(line) > maxChunkLineSize || !chunkLine.Match(line) {
		return 0, errChunk
	}
	end := bytes.IndexAny(line, "; \t")
	if end < 0 {
		end = len(line)
	}
	size, err := strconv.ParseInt(string(line[:end]), 16, 64)
	return int(size), err
}
