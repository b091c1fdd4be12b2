package webui

import (
	"strconv"
	"strings"
)

// encoding is a content coding in which each file is embedded.
type encoding struct {
	coding string // its name in HTTP
	suffix string // of the file's name
}

// encodings are listed by preference: brotli saves a tenth more than gzip.
var encodings = [...]encoding{{"br", ".br"}, {"gzip", ".gz"}}

// accepts reports whether Accept-Encoding has the content coding with a weight above 0 (RFC 9110, section 12.5.3). The wildcard is
// ignored: a client that can decode a coding names it.
func accepts(acceptEncoding, coding string) bool {
	for item := range strings.SplitSeq(acceptEncoding, ",") {
		name, parameters, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight, isWeight := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !isWeight || err == nil && q > 0
	}
	return false
}
