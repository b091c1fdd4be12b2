package edge

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// scanner follows the bytes of a connection and finds what fasthttp accepts although other programs read it differently or reject it
// (RFC 9112, sections 2.2, 5.2 and 7.1): lines that end with LF alone, folded headers, and chunks that are malformed or mostly
// framing. fasthttp reads the extensions of a chunk without a limit.
//
// It checks nothing else: checkFraming checks the headers, and fasthttp the rest. The zero value is for a new connection.
type scanner struct {
	state          scanState
	hasRequestLine bool   // the request line has been read
	line           []byte // the part of an incomplete line that has been read
	length         int    // of the body, by the headers; chunkedLength for chunks
	remaining      int    // bytes of the body, or of a chunk and its CRLF, that have not been read
	chunkedSize    int    // bytes of a chunked body that have been read, framing included
}

// chunkedLength is the length of a chunked body.
const chunkedLength = -1

// scanState is the part of a request that the next byte belongs to.
type scanState int

const (
	inHead scanState = iota
	inBody
	inChunkLine
	inChunk
	inTrailer
	scanDone // nothing more is checked: fasthttp rejects the request
)

// Limits of a chunked body. A chunk of one byte takes six bytes.
const (
	maxChunkLineSize = 1 << 10
	maxChunkedSize   = 8 * MaxBodySize
)

var (
	errBareLineFeed   = errors.New("a line ends with LF without CR")
	errObsFold        = errors.New("a header is folded over two lines")
	errMalformedChunk = errors.New("a chunk is malformed, or the chunks are mostly framing")
)

// scan checks the next bytes of the connection. It returns how many of them precede the first error, and the error.
func (s *scanner) scan(data []byte) (int, error) {
	for at := 0; at < len(data) && s.state != scanDone; {
		chunked := s.state == inChunkLine || s.state == inChunk || s.state == inTrailer
		n, err := s.step(data[at:])
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
	return len(data), nil
}

// step checks the bytes that belong to the current part, up to the end of a line, and returns their number.
func (s *scanner) step(data []byte) (int, error) {
	if s.state == inBody || s.state == inChunk {
		n := min(s.remaining, len(data))
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
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		s.line = append(s.line, data...)
		if err := s.checkLineLength(); err != nil {
			return 0, err
		}
		return len(data), nil
	}
	line := data[:end]
	if len(s.line) > 0 {
		s.line = append(s.line, line...)
		line, s.line = s.line, s.line[:0]
	}
	line, crlf := bytes.CutSuffix(line, []byte("\r"))
	if !crlf {
		return end, errBareLineFeed
	}
	if err := s.handleLine(line); err != nil {
		return end, err
	}
	return end + 1, nil
}

// checkLineLength limits the bytes that are stored of a line. fasthttp rejects a line of the head or of a trailer that does not fit
// into its buffer.
func (s *scanner) checkLineLength() error {
	switch {
	case s.state == inChunkLine && len(s.line) > maxChunkLineSize:
		return errMalformedChunk
	case len(s.line) > MaxHeaderSize:
		s.state, s.line = scanDone, nil
	}
	return nil
}

// handleLine checks a complete line, without its CRLF.
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
			s.state = inHead
		}
	default:
		return s.handleHeadLine(line)
	}
	return nil
}

func (s *scanner) handleHeadLine(line []byte) error {
	switch {
	case !s.hasRequestLine:
		// Empty lines before a request are ignored (RFC 9112, section 2.2).
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

// readBodyLength reads the length of the body from a header. fasthttp rejects an invalid length, and checkFraming any
// Transfer-Encoding but chunked.
func (s *scanner) readBodyLength(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case strings.EqualFold(string(name), fiber.HeaderTransferEncoding):
		s.length = chunkedLength
	case strings.EqualFold(string(name), fiber.HeaderContentLength) && s.length != chunkedLength:
		length, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 31)
		if err != nil {
			s.state = scanDone
			return
		}
		s.length = int(length)
	}
}

// chunkLinePattern matches the size of a chunk and its extensions (RFC 9112, sections 7.1 and 7.1.1). The RFC also allows white space
// between the size and the first extension, which fasthttp rejects.
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
