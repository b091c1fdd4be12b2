package webui_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/domain"
)

var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// codings are the values of Accept-Encoding that choose a form of each file, with the suffix of the file that has this form.
var codings = map[string]string{"": "", "br": ".br", "gzip": ".gz"}

func TestMount_ServesEveryFile(t *testing.T) {
	for name, address := range assetPaths(t) {
		for coding, suffix := range codings {
			want := built(t, name+suffix)
			res, body := request(t, http.MethodGet, address, "Accept-Encoding", coding)
			if res.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
				t.Errorf("GET %s, %q: status %d and %d bytes, want 200 and the file's %d", address, coding, res.StatusCode, len(body), len(want))
			}
			for header, want := range map[string]string{
				"Content-Type": contentTypes[filepath.Ext(name)], "Content-Encoding": coding, "Vary": "Accept-Encoding",
			} {
				if got := res.Header.Get(header); got != want {
					t.Errorf("GET %s, %q: %s is %q, want %q", address, coding, header, got, want)
				}
			}

			head, body := request(t, http.MethodHead, address, "Accept-Encoding", coding)
			if head.StatusCode != http.StatusOK || len(body) != 0 {
				t.Errorf("HEAD %s: status %d and %d bytes, want 200 and none", address, head.StatusCode, len(body))
			}
			for _, header := range []string{"Content-Type", "Content-Encoding", "Etag", "Cache-Control", "Vary"} {
				if head.Header.Get(header) != res.Header.Get(header) {
					t.Errorf("HEAD says %s %q, GET %q", header, head.Header.Get(header), res.Header.Get(header))
				}
			}
			if got := head.Header.Get("Content-Length"); got != strconv.Itoa(len(want)) {
				t.Errorf("HEAD says Content-Length %q, want %d", got, len(want))
			}
		}
	}
}

func TestMount_ChoosesContentCoding(t *testing.T) {
	for acceptEncoding, want := range map[string]string{
		"gzip, deflate, br, zstd": "br",
		"gzip, deflate":           "gzip",
		"GZIP":                    "gzip",
		"br;q=0.5, gzip":          "br",
		"br;q=0, gzip;q=0.1":      "gzip",
		"br; q=0.000":             "",
		"br;q=no":                 "",
		"brotli, xgzip":           "",
		"*":                       "",
		"identity;q=0":            "",
	} {
		res, _ := request(t, http.MethodGet, "/", "Accept-Encoding", acceptEncoding)
		if got := res.Header.Get("Content-Encoding"); res.StatusCode != http.StatusOK || got != want {
			t.Errorf("Accept-Encoding %q: status %d, Content-Encoding %q, want %q", acceptEncoding, res.StatusCode, got, want)
		}
	}
}

// A name with a hash changes with the content. Each other file is revalidated, so that a new release is loaded at once.
func TestMount_CachesHashedNamesForAYear(t *testing.T) {
	for name, address := range assetPaths(t) {
		digest := sha256.Sum256(built(t, name))
		hash := strings.ToLower(base32.StdEncoding.EncodeToString(digest[:]))[:12]
		want := "no-cache"
		if strings.Contains(name, "-"+hash+".") {
			want = "public, max-age=31536000, immutable"
		} else if name != "index.html" && name != "kit/keylodge.js" && name != "kit/elements.js" {
			t.Errorf("%s has no hash of its content", name)
		}
		for _, ifNoneMatch := range []string{"", "*"} {
			res, _ := request(t, http.MethodGet, address, "If-None-Match", ifNoneMatch)
			if got := res.Header.Values("Cache-Control"); !slices.Equal(got, []string{want}) {
				t.Errorf("%s, status %d: Cache-Control is %q, want %q", address, res.StatusCode, got, want)
			}
		}
	}
}

// Requirement: WebAuthn-13.4.8, ASVS-3.4.1
func TestMount_SecurityHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
			"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy": "publickey-credentials-create=(self), publickey-credentials-get=(self), " +
			"accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), " +
			"encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), " +
			"midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()",
		"Referrer-Policy":        "no-referrer",
		"X-Content-Type-Options": "nosniff",
	}
	for name, address := range assetPaths(t) {
		// Pages of other origins may load the kit.
		want["Cross-Origin-Resource-Policy"], want["Access-Control-Allow-Origin"] = "same-origin", ""
		if strings.HasPrefix(name, "kit/") {
			want["Cross-Origin-Resource-Policy"], want["Access-Control-Allow-Origin"] = "cross-origin", "*"
		}
		for _, ifNoneMatch := range []string{"", "*"} {
			res, _ := request(t, http.MethodGet, address, "If-None-Match", ifNoneMatch)
			for header, value := range want {
				if got := strings.Join(res.Header.Values(header), ", "); got != value {
					t.Errorf("%s, status %d: %s is %q, want %q", name, res.StatusCode, header, got, value)
				}
			}
		}
	}
}

func TestMount_NotModified(t *testing.T) {
	tags := map[string]string{}
	for name, address := range assetPaths(t) {
		for coding := range codings {
			send := func(ifNoneMatch string) (*http.Response, []byte) {
				return request(t, http.MethodGet, address, "Accept-Encoding", coding, "If-None-Match", ifNoneMatch)
			}
			res, _ := send("")
			etag := res.Header.Get("Etag")
			if other, seen := tags[etag]; seen && !strings.HasPrefix(name, "kit/") || !regexp.MustCompile(`^"[\w-]+"$`).MatchString(etag) {
				t.Fatalf("%s, %q: ETag %q is malformed, or also that of %q", name, coding, etag, other)
			}
			tags[etag] = name + " " + coding

			for ifNoneMatch, want := range map[string]int{
				etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304,
				`"other"`: 200, strings.Trim(etag, `"`): 200,
			} {
				res, body := send(ifNoneMatch)
				if res.StatusCode != want {
					t.Errorf("%s, If-None-Match %s: status %d, want %d", name, ifNoneMatch, res.StatusCode, want)
				}
				if want == http.StatusNotModified && (len(body) != 0 || res.Header.Get("Etag") != etag || res.Header.Get("Vary") != "Accept-Encoding") {
					t.Errorf("%s: a 304 with %d bytes and %v", name, len(body), res.Header)
				}
			}
		}
	}
}

func TestMount_OtherPathsAre404(t *testing.T) {
	for _, address := range []string{"/index.html", "/assets/", "/assets/index.html", "/assets/../webui.go", "/src/app.js", "/dist/index.html", "/index.html.br", "/kit/keylodge.js.gz"} {
		if res, _ := request(t, http.MethodGet, address); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", address, res.StatusCode)
		}
	}
}

// Browsers block inline code because of the content security policy, so the page would fail at run time.
// Requirement: WebAuthn-13.4.8
func TestPage_NoInlineCode(t *testing.T) {
	for _, name := range []string{"index.html", "favicon.svg"} {
		for _, e := range elements(t, name) {
			if e.name == "style" || (e.name == "script" && (e.attributes["src"] == "" || e.text != "")) {
				t.Errorf("%s: inline <%s>", name, e.name)
			}
			for attribute, value := range e.attributes {
				if attribute == "style" || strings.HasPrefix(attribute, "on") || strings.HasPrefix(strings.ToLower(value), "javascript:") {
					t.Errorf("%s: <%s %s=%q>", name, e.name, attribute, value)
				}
			}
		}
	}
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.style\b|srcdoc`)
	for _, name := range sourceFiles(t) {
		if found := markup.Find(source(t, name)); filepath.Ext(name) == ".js" && found != nil {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

// An injected script can read browser storage, which also outlives the session (NIST SP 800-63B-4, section 5.1). The session
// is in an HttpOnly cookie.
// Requirement: NIST-5.1
func TestPage_NoBrowserStorage(t *testing.T) {
	storage := regexp.MustCompile(`localStorage|sessionStorage|indexedDB|document\.cookie|cookieStore|caches\.|serviceWorker|history\.(push|replace)State\([^n]`)
	scripts := 0
	for _, name := range sourceFiles(t) {
		if filepath.Ext(name) != ".js" {
			continue
		}
		scripts++
		if found := storage.Find(source(t, name)); found != nil {
			t.Errorf("%s uses %s", name, found)
		}
	}
	if scripts < 20 {
		t.Errorf("found only %d scripts", scripts)
	}
}

// The document loads one script and one style sheet, and every other file has a purpose.
// Requirement: WebAuthn-13.4.8
func TestPage_AssetsMatchReferences(t *testing.T) {
	loaded := map[string]string{}
	for _, match := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllSubmatch(built(t, "index.html"), -1) {
		loaded[string(match[1])] = filepath.Ext(string(match[1]))
	}
	if kinds := slices.Sorted(maps.Values(loaded)); !slices.Equal(kinds, []string{".css", ".js", ".svg"}) {
		t.Errorf("the document refers to %v", loaded)
	}
	for name, address := range assetPaths(t) {
		if loaded[address] == "" && name != "index.html" && !strings.HasPrefix(name, "kit/") {
			t.Errorf("%s is embedded but not referred to", name)
		}
		delete(loaded, address)
	}
	if len(loaded) > 0 {
		t.Errorf("the document refers to files that do not exist: %v", loaded)
	}
}

// The bundle has only what app.js imports, directly or not.
func TestScripts_AreImported(t *testing.T) {
	imported := map[string]bool{"app.js": true}
	for pending := []string{"app.js"}; len(pending) > 0; {
		name := pending[0]
		pending = pending[1:]
		for _, found := range regexp.MustCompile(`from '(\.[^']+)'`).FindAllSubmatch(source(t, name), -1) {
			if module := path.Join(path.Dir(name), string(found[1])); !imported[module] {
				imported[module] = true
				pending = append(pending, module)
			}
		}
	}
	for _, name := range sourceFiles(t) {
		if filepath.Ext(name) == ".js" && !imported[name] {
			t.Errorf("no module imports %s", name)
		}
	}
}

// Without the style sheet, an image without a size fills the window.
func TestPage_ImagesHaveASize(t *testing.T) {
	images := 0
	for _, e := range elements(t, "index.html") {
		if e.name != "svg" {
			continue
		}
		images++
		if e.attributes["width"] == "" || e.attributes["height"] == "" {
			t.Errorf("<svg %v> has no width or no height", e.attributes)
		}
	}
	if images < 4 {
		t.Errorf("found only %d images", images)
	}
}

func TestScripts_ElementsExist(t *testing.T) {
	ids := map[string]string{}
	labelled := map[string]bool{}
	all := elements(t, "index.html")
	for _, e := range all {
		if id := e.attributes["id"]; id != "" {
			if ids[id] != "" {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = e.name
		}
		if e.name == "label" {
			labelled[e.attributes["for"]] = true
		}
	}
	parts := map[string]bool{}
	for _, e := range all {
		parts[e.attributes["data-part"]] = true
	}
	for _, name := range sourceFiles(t) {
		if filepath.Ext(name) != ".js" {
			continue
		}
		for _, found := range regexp.MustCompile(`\$\('([^']+)'\)`).FindAllSubmatch(source(t, name), -1) {
			if id := string(found[1]); ids[id] == "" {
				t.Errorf("%s uses #%s, which does not exist", name, id)
			}
		}
		for _, found := range regexp.MustCompile(`part\(entry, '([^']+)'\)`).FindAllSubmatch(source(t, name), -1) {
			if !parts[string(found[1])] {
				t.Errorf("%s uses the part %s, which no template has", name, found[1])
			}
		}
	}
	// The browser tests use these ids.
	for id, name := range map[string]string{
		"sign-in": "button", "sign-up": "button", "sign-out": "button", "message": "p", "who": "span",
		"email": "input", "display-name": "input", "sign-up-email": "input",
		"account-lists": "div", "account-name": "input", "account-email": "input", "save-account": "button",
		"passkey-list": "ul", "add-passkey": "button", "new-passkey-name": "input", "make-passkey": "button",
		"device-list": "ul", "more-devices": "button", "sign-out-others": "button", "event-list": "ul", "more-events": "button", "event-group": "select",
		"delete-account": "button", "delete-word": "input", "delete-for-good": "button",
		"make-codes": "button", "replace-codes": "button", "code-list": "ol", "codes-left": "span",
		"set-up-app": "button", "app-qr": "img", "app-secret": "code", "app-code": "input", "confirm-app": "button",
		"remove-app": "button", "confirm-remove-app": "button",
		"lost-passkey": "button", "by-app": "input", "by-backup": "input", "recover-account": "input",
		"recover-app-code": "input", "recover-backup-code": "input", "recover": "button", "enrol": "button",
		"pending-email": "form", "email-code": "input", "confirm-email": "button", "send-email-code": "button", "withdraw-email": "button",
		"who-email": "span", "who-pending-email": "span", "email-verified": "span",
		"review": "section", "review-list": "ul", "end-review": "button",
	} {
		if ids[id] != name {
			t.Errorf("#%s is a %q, want a %s", id, ids[id], name)
		}
	}
	for _, e := range all {
		if id := e.attributes["id"]; (e.name == "input" || e.name == "select") && !labelled[id] {
			t.Errorf("#%s has no label", id)
		}
		if e.name == "main" && e.attributes["data-state"] != "loading" {
			t.Errorf("the page starts in state %q, want loading", e.attributes["data-state"])
		}
		for _, attribute := range []string{"aria-labelledby", "aria-describedby", "for"} {
			if id := e.attributes[attribute]; id != "" && ids[id] == "" {
				t.Errorf("<%s %s=%q> refers to no element", e.name, attribute, id)
			}
		}
	}
}

func TestWords_EveryErrorCode(t *testing.T) {
	texts := string(source(t, "errortexts.js"))
	for _, code := range []string{
		"aborted", "already_registered", "cancelled", "not_supported", "timed_out", "unreadable", "verification_unavailable", "wrong_domain",
		"insecure_context", "unreachable", "webauthn_missing",
		"body_too_large", "challenge_expired", "challenge_not_found", "cross_origin_rejected", "email_taken",
		"invalid_request", "passkey_already_registered", "passkey_rejected", "passkey_suspended", "passkey_unknown",
		"registration_closed", "session_expired", "session_revoked", "unavailable", "user_verification_required",
		"invalid_code", "rate_limited",
		"csrf_rejected", "last_passkey", "not_found", "passkey_limit_reached", "session_changed", "step_up_required", "user_disabled",
	} {
		if !sentenceFor(code).MatchString(texts) && !strings.Contains(texts, "case '"+code+"':") {
			t.Errorf("errortexts.js has no text for %s", code)
		}
	}
}

// Users could find an event of no group only in the unfiltered log.
func TestWords_EveryEventIsInAGroup(t *testing.T) {
	_, groups, _ := strings.Cut(string(source(t, "eventtexts.js")), "export const groups = {")
	groups, _, _ = strings.Cut(groups, "};")
	var shown []string
	for _, list := range regexp.MustCompile(`'([a-z_,]+)'`).FindAllStringSubmatch(groups, -1) {
		shown = append(shown, strings.FieldsFunc(list[1], func(r rune) bool { return r == ',' })...)
	}
	for _, kind := range domain.EventKinds {
		if !slices.Contains(shown, string(kind)) && kind != domain.EventAccountDeleted {
			t.Errorf("%s is in no group", kind)
		}
	}
	for _, kind := range shown {
		if !slices.Contains(domain.EventKinds, domain.EventKind(kind)) {
			t.Errorf("%s is not an event kind of the server", kind)
		}
	}
}

func TestWords_EveryEvent(t *testing.T) {
	texts := string(source(t, "eventtexts.js"))
	for _, kind := range domain.EventKinds {
		if !regexp.MustCompile(`(?m)^  ` + string(kind) + `: '.+[^.]',$`).MatchString(texts) {
			t.Errorf("eventtexts.js has no text for %s", kind)
		}
	}
	reasons := []string{
		domain.ErrPasskeySuspended.Code, domain.ErrUserDisabled.Code, domain.ErrInvalidCode.Code, string(domain.EventRecovered),
		string(domain.EventPasskeyRemoved), string(domain.EventAccountDisabled), string(domain.EventSignedIn), string(domain.EventSignedUp),
		domain.ReasonSessionLimit,
	}
	for _, reason := range domain.Reasons {
		reasons = append(reasons, string(reason))
	}
	for _, anomaly := range domain.Anomalies {
		if anomaly != domain.AnomalyAttestedData { // which is not recorded as an event
			reasons = append(reasons, string(anomaly))
		}
	}
	for _, reason := range reasons {
		if !sentenceFor(reason).MatchString(texts) {
			t.Errorf("eventtexts.js has no sentence for the reason %s", reason)
		}
	}
}

// The fields that events of account changes list.
func TestWords_EveryChangedField(t *testing.T) {
	texts := string(source(t, "eventtexts.js"))
	for _, member := range []string{"display_name", "email", "pending_email"} {
		if !regexp.MustCompile(`\b` + member + `: '[^']+',`).MatchString(texts) {
			t.Errorf("eventtexts.js has no text for %s", member)
		}
	}
}

func TestWords_EveryRecoveryFactor(t *testing.T) {
	texts := string(source(t, "eventtexts.js"))
	for _, factor := range []domain.RecoveryFactor{domain.FactorTOTP, domain.FactorBackupCode, domain.FactorOperator} {
		if !regexp.MustCompile(`\b` + string(factor) + `: '[^']+',`).MatchString(texts) {
			t.Errorf("eventtexts.js has no text for %s", factor)
		}
	}
}

func sentenceFor(code string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^  ` + code + `: '.+\.',$`)
}

// assetPaths maps each embedded file to its URL path, without the compressed forms.
func assetPaths(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS("dist"), ".", func(name string, entry fs.DirEntry, err error) error {
		if extension := filepath.Ext(name); err == nil && !entry.IsDir() && extension != ".br" && extension != ".gz" {
			all[name] = "/" + name
		}
		return err
	})
	if err != nil || len(all) < 4 {
		t.Fatalf("found %d files: %v", len(all), err)
	}
	all["index.html"] = "/"
	return all
}

// sourceFiles returns the files of the page and of the kit before they are bundled, relative to the folder src.
func sourceFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, folder := range []string{"src", "kit"} {
		files, err := filepath.Glob(folder + "/*.*")
		if err != nil || len(files) < 8 {
			t.Fatalf("found %d files in %s: %v", len(files), folder, err)
		}
		for _, file := range files {
			names = append(names, strings.TrimPrefix("../"+filepath.ToSlash(file), "../src/"))
		}
	}
	return names
}

func built(t *testing.T, name string) []byte { return read(t, "dist", name) }

func source(t *testing.T, name string) []byte { return read(t, "src", name) }

func read(t *testing.T, folder, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// request makes a request; headers are names and values, and an empty value is not sent.
func request(t *testing.T, method, address string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	app := fiber.New()
	webui.Mount(app)
	req := httptest.NewRequest(method, address, nil)
	for pair := range slices.Chunk(headers, 2) {
		if pair[1] != "" {
			req.Header.Set(pair[0], pair[1])
		}
	}
	res, err := app.Test(req, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

type element struct {
	name       string
	attributes map[string]string
	text       string // between its start tag and the next start tag
}

// elements parses a file with package encoding/xml in its HTML mode. It fails the test if the file cannot be parsed.
func elements(t *testing.T, name string) []element {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(source(t, name)))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all []element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: strings.ToLower(token.Name.Local), attributes: map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[strings.ToLower(a.Name.Local)] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 {
				all[len(all)-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

// Safari 16 has passkeys but not checkVisibility. Only credentials.js uses WebAuthn's JSON methods.
func TestPage_BrowserBaseline(t *testing.T) {
	newer := regexp.MustCompile(`\.checkVisibility\(|FromJSON\(|\.toJSON\(|structuredClone\(|withResolvers\(|groupBy\(|\.to(Sorted|Reversed|Spliced)\(|AbortSignal\.any|URL\.canParse|(from|to)Base64\(|showPopover\(`)
	for _, name := range sourceFiles(t) {
		if filepath.Ext(name) != ".js" {
			continue
		}
		text := string(source(t, name))
		if name == "../kit/credentials.js" {
			text = strings.Replace(text, "attempt(() => credential.toJSON())", "", 1) // its fallback
		}
		if found := newer.FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}
