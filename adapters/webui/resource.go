package webui

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// contentTypes are listed here because the types that package mime knows depend on the machine.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// resource is an embedded file in each of its forms.
type resource struct {
	contentType  string
	cacheControl string
	language     string // "" for none
	shared       bool   // pages of every origin may load it
	forms        []form // the preferred one first; the last one has no content coding
}

// form is a file in one content coding. Each has an ETag of its own: RFC 9110, section 8.8.3.3.
type form struct {
	coding string // "" for none
	etag   string
	body   []byte
}

func newForm(coding string, body []byte) form {
	digest := sha256.Sum256(body)
	return form{coding, `"` + base64.RawURLEncoding.EncodeToString(digest[:16]) + `"`, body}
}

func load(files fs.FS, name string) (*resource, error) {
	contentType, known := contentTypes[path.Ext(name)]
	if !known {
		return nil, fmt.Errorf("no content type for %s", name)
	}
	r := &resource{contentType: contentType, cacheControl: cacheControl(name), shared: strings.HasPrefix(name, "kit/")}
	for _, e := range append(encodings[:], encoding{}) {
		body, err := fs.ReadFile(files, name+e.suffix)
		if err != nil {
			return nil, err
		}
		r.forms = append(r.forms, newForm(e.coding, body))
	}
	return r, nil
}

func (r *resource) serve(c *fiber.Ctx) error {
	for _, h := range headers {
		c.Set(h.name, h.value)
	}
	if r.shared {
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
		c.Set("Cross-Origin-Resource-Policy", "cross-origin")
	} else {
		c.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	f := r.accepted(c.Get(fiber.HeaderAcceptEncoding))
	c.Set(fiber.HeaderCacheControl, r.cacheControl)
	c.Vary(fiber.HeaderAcceptEncoding)
	c.Set(fiber.HeaderETag, f.etag)
	if etagMatches(c.Get(fiber.HeaderIfNoneMatch), f.etag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	c.Set(fiber.HeaderContentType, r.contentType)
	if r.language != "" {
		c.Set(fiber.HeaderContentLanguage, r.language)
	}
	if f.coding != "" {
		c.Set(fiber.HeaderContentEncoding, f.coding)
	}
	return c.Send(f.body)
}

// accepted returns the first form that the client accepts. The form without a content coding is the last resort, also for a
// client that accepts none: RFC 9110, section 12.5.3, allows it.
func (r *resource) accepted(acceptEncoding string) form {
	last := len(r.forms) - 1
	for _, f := range r.forms[:last] {
		if accepts(acceptEncoding, f.coding) {
			return f
		}
	}
	return r.forms[last]
}

// etagMatches makes the weak comparison that RFC 9110, section 13.1.2, requires for If-None-Match.
func etagMatches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
