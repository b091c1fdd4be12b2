package webui_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

func TestMount_ServesEveryFile(t *testing.T) {
	for name, address := range assetPaths(t) {
		t.Run(name, func(t *testing.T) {
			want := source(t, name)
			res, body := request(t, http.MethodGet, address, "")
			if res.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
				t.Errorf("GET %s: status %d and %d bytes, want 200 and the file's %d", address, res.StatusCode, len(body), len(want))
			}
			if got := res.Header.Get("Content-Type"); got != contentTypes[filepath.Ext(name)] {
				t.Errorf("Content-Type is %q", got)
			}

			head, body := request(t, http.MethodHead, address, "")
			if head.StatusCode != http.StatusOK || len(body) != 0 {
				t.Errorf("HEAD %s: status %d and %d bytes, want 200 and none", address, head.StatusCode, len(body))
			}
			for _, header := range []string{"Content-Type", "Etag", "Cache-Control"} {
				if head.Header.Get(header) != res.Header.Get(header) {
					t.Errorf("HEAD says %s %q, GET %q", header, head.Header.Get(header), res.Header.Get(header))
				}
			}
			if got := head.Header.Get("Content-Length"); got != strconv.Itoa(len(want)) {
				t.Errorf("HEAD says Content-Length %q, want %d", got, len(want))
			}
		})
	}
}

// Requirement: WebAuthn-13.4.8, ASVS-3.4.1
func TestMount_SecurityHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
			"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "publickey-credentials-create=(self), publickey-credentials-get=(self), " +
			"accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), " +
			"encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), " +
			"midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), web-share=(), xr-spatial-tracking=()",
		"Referrer-Policy":        "no-referrer",
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "no-cache",
	}
	for name, address := range assetPaths(t) {
		for _, ifNoneMatch := range []string{"", "*"} {
			res, _ := request(t, http.MethodGet, address, ifNoneMatch)
			for header, value := range want {
				if got := res.Header.Values(header); !slices.Equal(got, []string{value}) {
					t.Errorf("%s, status %d: %s is %q, want %q", name, res.StatusCode, header, got, value)
				}
			}
		}
	}
}

func TestMount_NotModified(t *testing.T) {
	tags := map[string]string{}
	for name, address := range assetPaths(t) {
		res, _ := request(t, http.MethodGet, address, "")
		etag := res.Header.Get("Etag")
		if other, seen := tags[etag]; seen || !regexp.MustCompile(`^"[\w-]+"$`).MatchString(etag) {
			t.Fatalf("%s: ETag %q is malformed, or also that of %q", name, etag, other)
		}
		tags[etag] = name

		for ifNoneMatch, want := range map[string]int{
			etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304,
			`"other"`: 200, strings.Trim(etag, `"`): 200,
		} {
			res, body := request(t, http.MethodGet, address, ifNoneMatch)
			if res.StatusCode != want {
				t.Errorf("%s, If-None-Match %s: status %d, want %d", name, ifNoneMatch, res.StatusCode, want)
			}
			if want == http.StatusNotModified && (len(body) != 0 || res.Header.Get("Etag") != etag) {
				t.Errorf("%s: a 304 with %d bytes and ETag %q", name, len(body), res.Header.Get("Etag"))
			}
		}
	}
}

func TestMount_OtherPathsAre404(t *testing.T) {
	for _, address := range []string{"/index.html", "/assets/", "/assets/index.html", "/assets/../webui.go", "/static/app.js"} {
		if res, _ := request(t, http.MethodGet, address, ""); res.StatusCode != http.StatusNotFound {
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
	for name := range assetPaths(t) {
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
	for name := range assetPaths(t) {
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

// Requirement: WebAuthn-13.4.8
func TestPage_AssetsMatchReferences(t *testing.T) {
	known := assetPaths(t)
	referenced := map[string]bool{"index.html": true}
	refer := func(from, address string) {
		for name, a := range known {
			if a == address {
				referenced[name] = true
				return
			}
		}
		t.Errorf("%s refers to %s, which does not exist", from, address)
	}
	for _, e := range elements(t, "index.html") {
		for _, attribute := range []string{"src", "href"} {
			if address := e.attributes[attribute]; address != "" && !strings.HasPrefix(address, "#") {
				refer("index.html", address)
			}
		}
	}
	imports := regexp.MustCompile(`(?:from|import)\s*\(?'([^']+)'`)
	for name := range known {
		if filepath.Ext(name) != ".js" {
			continue
		}
		for _, found := range imports.FindAllSubmatch(source(t, name), -1) {
			relative, isRelative := strings.CutPrefix(string(found[1]), "./")
			if !isRelative {
				t.Errorf("%s imports %s, want a module of the same folder", name, found[1])
			}
			refer(name, "/assets/"+relative)
		}
	}
	for name := range known {
		if !referenced[name] {
			t.Errorf("%s is embedded but not referred to", name)
		}
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
	for name := range assetPaths(t) {
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
		"AbortError", "InvalidStateError", "NotAllowedError", "NotSupportedError", "SecurityError",
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

// A browser would request a module without a preload only after it has loaded the module's importer.
func TestPage_PreloadsEveryModule(t *testing.T) {
	preloaded := map[string]bool{}
	for _, e := range elements(t, "index.html") {
		if e.attributes["rel"] == "modulepreload" || e.name == "script" {
			preloaded[e.attributes["href"]+e.attributes["src"]] = true
		}
	}
	for name, address := range assetPaths(t) {
		if filepath.Ext(name) == ".js" && !preloaded[address] {
			t.Errorf("index.html does not preload %s", name)
		}
	}
}

// assetPaths maps each file of the page to its URL path.
func assetPaths(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[file.Name()] = "/assets/" + file.Name()
	}
	all["index.html"] = "/"
	return all
}

func source(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("static", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func request(t *testing.T, method, address, ifNoneMatch string) (*http.Response, []byte) {
	t.Helper()
	app := fiber.New()
	webui.Mount(app)
	req := httptest.NewRequest(method, address, nil)
	if ifNoneMatch != "" {
		req.Header.Set("If-None-Match", ifNoneMatch)
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

// Safari 16 has passkeys but not checkVisibility. Only passkeyjson.js uses WebAuthn's JSON methods.
func TestPage_BrowserBaseline(t *testing.T) {
	newer := regexp.MustCompile(`\.checkVisibility\(|FromJSON\(|\.toJSON\(|structuredClone\(|withResolvers\(|groupBy\(|\.to(Sorted|Reversed|Spliced)\(|AbortSignal\.(any|timeout)|URL\.canParse|(from|to)Base64\(|showPopover\(`)
	for name := range assetPaths(t) {
		if filepath.Ext(name) != ".js" {
			continue
		}
		text := string(source(t, name))
		if name == "passkeyjson.js" {
			text = strings.Replace(text, "attempt(() => credential.toJSON())", "", 1) // its fallback
		}
		if found := newer.FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}
