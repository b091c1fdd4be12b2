package edge

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
	state          scanState
	hasRequestLine bool   // there is a request line
	line           []byte // what has come of a line that is not whole
	length         int    // of the body, as the headers say; chunkedLength for chunks
	remaining      int    // what is still to come of a body, or of a chunk with its CRLF
	chunkedSize    int    // what has come of a body in chunks, all its framing included
}

// scanState is where in a connection the next byte belongs.
type scanState int

const (
	inHead scanState = iota
	inBody
	inChunkLine
	inChunk
	inTrailer
	scanDone // that is read: fasthttp refuses the request, or the connection ends with it
)

// Bounds of a body in chunks. Chunks of one byte each take six times what they hold.
const (
	maxChunkLineSize = 1 << 10
	maxChunkedSize   = 8 * MaxBodySize
)

var (
	errBareLineFeed   = errors.New("a line ends in LF without CR")
	errObsFold        = errors.New("a header goes on in the next line")
	errMalformedChunk = errors.New("a chunk is malformed, or the chunks are mostly framing")
)

// scan returns how much of what was read comes before the first fault, and the fault.
func (s *scanner) scan(read []byte) (int, error) {
	for at := 0; at < len(read) && s.state != scanDone; {
		chunked := s.state == inChunkLine || s.state == inChunk || s.state == inTrailer
		n, err := s.step(read[at:])
		if err != nil {
			return at + n, err
		}
		if chunked {
			if s.chunkedSize += n; s.chunkedSize > maxChunkedSize {
				return at, errMalformedChunk
			}
		}
		at += n
	}
	return len(read), nil
}

// step takes what belongs to the current part, up to the end of a line.
func (s *scanner) step(read []byte) (int, error) {
	if s.state == inBody || s.state == inChunk {
		n := min(s.remaining, len(read))
		s.remaining -= n
		switch {
		case s.remaining > 0:
		case s.state == inBody:
			s.state = inHead
		default:
			s.state = inChunkLine
		}
		return n, nil
	}
	end := bytes.IndexByte(read, '\n')
	if end < 0 {
		s.line = append(s.line, read...)
		if err := s.checkLineLength(); err != nil {
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
	if err := s.handleLine(line); err != nil {
		return end, err
	}
	return end + 1, nil
}

// checkLineLength bounds what is kept of a line. One of the head or of a trailer is refused by fasthttp, whose buffer it does not fit
// into.
func (s *scanner) checkLineLength() error {
	switch {
	case s.state == inChunkLine && len(s.line) > maxChunkLineSize:
		return errMalformedChunk
	case len(s.line) > MaxHeaderSize:
		s.state, s.line = scanDone, nil
	}
	return nil
}

// handleLine takes a whole line, without its end.
func (s *scanner) handleLine(line []byte) error {
	switch s.state {
	case inChunkLine:
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		s.state, s.remaining = inChunk, size+len("\r\n")
		if size == 0 {
			s.state = inTrailer
		}
	case inTrailer:
		if len(line) == 0 {
			s.state = scanDone
		}
	default:
		return s.handleHeadLine(line)
	}
	return nil
}

func (s *scanner) handleHeadLine(line []byte) error {
	switch {
	case !s.hasRequestLine:
		// Empty lines before a request are no part of it (RFC 9112, section 2.2).
		s.hasRequestLine, s.length = len(line) > 0, 0
	case len(line) == 0:
		s.hasRequestLine = false
		switch {
		case s.length == chunkedLength:
			s.state, s.chunkedSize = inChunkLine, 0
		case s.length > 0:
			s.state, s.remaining = inBody, s.length
		}
	case line[0] == ' ' || line[0] == '\t':
		return errObsFold
	default:
		s.readBodyLength(line)
	}
	return nil
}

// readBodyLength takes from a header what it says of the body's length. What it cannot read is refused elsewhere, as is any
// Transfer-Encoding but chunked.
func (s *scanner) readBodyLength(line []byte) {
	name, value, _ := strings.Cut(string(line), ":")
	switch {
	case strings.EqualFold(name, fiber.HeaderTransferEncoding):
		s.length = chunkedLength
	case strings.EqualFold(name, fiber.HeaderContentLength) && s.length != chunkedLength:
		length, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 31)
		if err != nil {
			s.state = scanDone
			return
		}
		s.length = int(length)
	}
}

// chunkLinePattern is the size of a chunk and its extensions (RFC 9112, sections 7.1 and 7.1.1).
var chunkLinePattern = regexp.MustCompile(`^[0-9A-Fa-f]{1,15}(?:` + bwsPattern + `;` + bwsPattern + tcharsPattern + `(?:` + bwsPattern + `=` + bwsPattern + `(?:` + tcharsPattern + `|` + quotedStringPattern + `))?)*` + bwsPattern + `$`)

const (
	bwsPattern          = `[ \t]*`
	tcharsPattern       = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	quotedStringPattern = `"(?:[^\x00-\x08\x0A-\x1F"\\\x7F]|\\[^\x00-\x08\x0A-\x1F\x7F])*"`
)

func chunkSize(line []byte) (int, error) {
	if len(line) > maxChunkLineSize || !chunkLinePattern.Match(line) {
		return 0, errMalformedChunk
	}
	end := bytes.IndexAny(line, "; \t")
	if end < 0 {
		end = len(line)
	}
	size, err := strconv.ParseInt(string(line[:end]), 16, 64)
	return int(size), err
}
