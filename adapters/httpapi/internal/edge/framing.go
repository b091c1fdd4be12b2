package edge

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/domain"
)

// checkFraming refuses a request that another program could read in another way than this one, or that says a thing twice
// (OWASP ASVS 5.0, 4.2.1; RFC 9112, sections 3, 5 and 6). Whatever stands between a client and this server, both see the
// same requests then, with the same headers. fasthttp refuses most of it itself; this is what it lets pass.
//
// The error is a *domain.InvalidInput that names the header, or fiber.ErrBadRequest.
func checkFraming(request *fasthttp.Request) error {
	switch {
	case !isKnownVersion(request.Header.Protocol()), !isPlainTarget(request.Header.RequestURI()), !isPlainHost(request.Header.Host()):
		return fiber.ErrBadRequest
	case len(request.Header.PeekTrailerKeys()) > 0:
		// fasthttp would take them for headers, which a proxy never saw (RFC 9110, section 6.5.1).
		return domain.Invalid("Trailer", "unsupported_trailer", "send the chunks without trailer fields")
	}
	return checkHeaderLines(request.Header.RawHeaders())
}

// isKnownVersion leaves out what fasthttp takes for 1.0: later versions, earlier ones, and unknown ones.
func isKnownVersion(version []byte) bool {
	return string(version) == "HTTP/1.1" || string(version) == "HTTP/1.0"
}

// isPlainTarget takes the forms of RFC 9112, section 3.2, that are for this server: a path, * for OPTIONS, and the whole
// address of a web page. Its host tells nothing here, as the Host header does not.
func isPlainTarget(target []byte) bool {
	if bytes.IndexByte(target, '#') >= 0 {
		return false
	}
	if bytes.HasPrefix(target, []byte("/")) || string(target) == "*" {
		return true
	}
	u, err := url.Parse(string(target))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// isPlainHost reports whether a host consists of the characters of names, addresses and ports. fasthttp rejects HTTP/1.1 without a
// host.
func isPlainHost(host []byte) bool { return hostPattern.Match(host) }

var hostPattern = regexp.MustCompile(`^[-._:\[\]0-9A-Za-z]*$`)

// singletonHeaders are the headers that something here depends on and that mean one thing. Two of them are two answers to one question:
// one program reads the first, another the last. Cookie is not among them: HTTP/2 splits it, and some proxies pass it on in
// parts; what counts there is that no cookie of ours comes twice.
var singletonHeaders = [...]string{
	fiber.HeaderAuthorization, fiber.HeaderContentEncoding, fiber.HeaderContentType, fiber.HeaderOrigin,
	fiber.HeaderTransferEncoding, "X-CSRF-Token", "Sec-Fetch-Site",
}

// checkHeaderLines checks the raw bytes. Each line ends in CRLF, none goes on in the next one (obs-fold), no space is
// in or around a name, and a body has one length.
func checkHeaderLines(raw []byte) error {
	var seen [len(singletonHeaders)]bool
	var chunked, measured bool
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		line, whole := bytes.CutSuffix(line, []byte("\r"))
		if !whole {
			return fiber.ErrBadRequest
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return fiber.ErrBadRequest
		}
		for i := range singletonHeaders {
			if !strings.EqualFold(string(name), singletonHeaders[i]) {
				continue
			}
			if seen[i] {
				return domain.Invalid(singletonHeaders[i], "duplicate_header", "duplicate header: send it once")
			}
			seen[i] = true
		}
		switch {
		case strings.EqualFold(string(name), fiber.HeaderContentLength):
			measured = true
		case strings.EqualFold(string(name), fiber.HeaderTransferEncoding):
			chunked = true
			if !strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked") {
				return fiber.ErrBadRequest
			}
		}
	}
	if chunked && measured {
		return fiber.ErrBadRequest
	}
	return nil
}
