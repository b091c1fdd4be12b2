package edge

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/domain"
)

// checkFraming rejects a request that a proxy could read in another way than this server, or that has a header of a single value
// twice (OWASP ASVS 5.0, 4.2.1; RFC 9112, sections 3, 5 and 6). fasthttp rejects most of it; this checks the rest. It reports whether
// the body is chunked, which fasthttp does not for an empty one.
//
// The error is a *domain.InvalidInput that names the header, or fiber.ErrBadRequest.
func checkFraming(request *fasthttp.Request) (chunked bool, err error) {
	switch {
	case !isKnownVersion(request.Header.Protocol()), !isPlainTarget(request.Header.RequestURI()), !isPlainHost(request.Header.Host()):
		return false, fiber.ErrBadRequest
	case len(request.Header.PeekTrailerKeys()) > 0:
		// fasthttp would treat them as headers, although no proxy has seen them (RFC 9110, section 6.5.1).
		return false, domain.Invalid("Trailer", "unsupported_trailer", "send the chunks without trailer fields")
	}
	return checkHeaderLines(request.Header.RawHeaders())
}

// isKnownVersion accepts HTTP/1.0 and HTTP/1.1. fasthttp treats every other version as 1.0.
func isKnownVersion(version []byte) bool {
	return string(version) == "HTTP/1.1" || string(version) == "HTTP/1.0"
}

// isPlainTarget accepts the forms of RFC 9112, section 3.2, that a server receives: a path, * for OPTIONS, and an http or https URL
// without a user name. The host in a URL is ignored, as the Host header is.
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
func isPlainHost(host []byte) bool {
	return bytes.IndexFunc(host, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._:[]", r)
	}) < 0
}

// singletonHeaders are the headers with a single value that the API depends on. If one occurs twice, one program reads the first
// value and another the last. Cookie is not in the list: HTTP/2 splits it, and some proxies forward it in parts. httpapi rejects
// two values of its own cookies instead.
var singletonHeaders = [...]string{
	fiber.HeaderAuthorization, fiber.HeaderContentEncoding, fiber.HeaderContentType, fiber.HeaderOrigin,
	fiber.HeaderTransferEncoding, "X-CSRF-Token", "Sec-Fetch-Site",
}

// checkHeaderLines checks the raw bytes of the headers: each line ends with CRLF, no line is folded (obs-fold), a name contains no
// space, and the body has one length. It reports whether the body is chunked.
func checkHeaderLines(raw []byte) (chunked bool, err error) {
	var seen [len(singletonHeaders)]bool
	var hasLength bool
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		line, crlf := bytes.CutSuffix(line, []byte("\r"))
		if !crlf {
			return false, fiber.ErrBadRequest
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return false, fiber.ErrBadRequest
		}
		for i := range singletonHeaders {
			if !strings.EqualFold(string(name), singletonHeaders[i]) {
				continue
			}
			if seen[i] {
				return false, domain.Invalid(singletonHeaders[i], "duplicate_header", "duplicate header: send it once")
			}
			seen[i] = true
		}
		switch {
		case strings.EqualFold(string(name), fiber.HeaderContentLength):
			hasLength = true
		case strings.EqualFold(string(name), fiber.HeaderTransferEncoding):
			chunked = true
			if !strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked") {
				return false, fiber.ErrBadRequest
			}
		}
	}
	if chunked && hasLength {
		return false, fiber.ErrBadRequest
	}
	return chunked, nil
}
