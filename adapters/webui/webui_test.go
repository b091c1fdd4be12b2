package webui_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
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
	"github.com/keylodge/keylodge/locales"
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
		res, _ := request(t, http.MethodGet, "/kit/keylodge.js", "Accept-Encoding", acceptEncoding)
		if got := res.Header.Get("Content-Encoding"); res.StatusCode != http.StatusOK || got != want {
			t.Errorf("Accept-Encoding %q: status %d, Content-Encoding %q, want %q", acceptEncoding, res.StatusCode, got, want)
		}
	}
}

// bundled matches the names of scripts and style sheets, whose hash the bundler makes from all that they contain. `make verify` compares
// them with the sources.
var bundled = regexp.MustCompile(`-[A-Z2-7]{8}\.(js|css)$`)

// A name with a hash changes with the content. Each other file is revalidated, so that a new release is loaded at once.
func TestMount_CachesHashedNamesForAYear(t *testing.T) {
	for name, address := range assetPaths(t) {
		digest := sha256.Sum256(built(t, name))
		hash := strings.ToLower(base32.StdEncoding.EncodeToString(digest[:]))[:12]
		want := "no-cache"
		if strings.Contains(name, "-"+hash+".") || bundled.MatchString(name) {
			want = "public, max-age=31536000, immutable"
		} else if name != "kit/keylodge.js" && name != "kit/elements.js" {
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
	addresses := assetPaths(t)
	addresses["the document"] = "/"
	for name, address := range addresses {
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
		for coding, suffix := range codings {
			send := func(ifNoneMatch string) (*http.Response, []byte) {
				return request(t, http.MethodGet, address, "Accept-Encoding", coding, "If-None-Match", ifNoneMatch)
			}
			res, _ := send("")
			etag := res.Header.Get("Etag")
			if other, seen := tags[etag]; seen && !bytes.Equal(built(t, other), built(t, name+suffix)) || !regexp.MustCompile(`^"[\w-]+"$`).MatchString(etag) {
				t.Fatalf("%s, %q: ETag %q is malformed, or also that of %q", name, coding, etag, other)
			}
			tags[etag] = name + suffix

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

// The document has the name and the brand of the installation, at each path of the page and at a path that does not exist.
func TestMount_RendersDocument(t *testing.T) {
	files := map[string][]byte{"logo.svg": []byte("<svg/>"), "logo-dark.svg": []byte("<svg />"), "favicon.png": []byte("\x89PNG"), "background.jpg": []byte("\xff\xd8\xff")}
	light, err := webui.ParseColor("#0a5fb4")
	if err != nil {
		t.Fatal(err)
	}
	brand := webui.NewBrand(webui.NewAccent(light), files)
	pages := map[string]webui.Page{
		"plain":   {Name: `Ada & "Ben" <b> {loading}`, SecuredBy: true},
		"branded": {Name: "Example", Brand: brand},
	}
	escaped := "<title>Ada &amp; &#34;Ben&#34; &lt;b&gt; {loading}</title>"
	for path, status := range map[string]int{"/": 200, "/login": 200, "/signup": 200, "/recover": 200, "/logout": 200, "/account": 200, "/account/ways-back": 200, "/nowhere": 404, "/account/nowhere": 404} {
		res, _ := requestPage(t, pages["plain"], http.MethodGet, path, "Accept", "text/html,*/*", "If-None-Match", "*")
		if status == 200 && res.StatusCode != 304 || status == 404 && res.StatusCode != 404 {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
		res, body := requestPage(t, pages["plain"], http.MethodGet, path, "Accept", "text/html,*/*")
		text := string(body)
		if res.StatusCode != status || !strings.Contains(text, escaped) || strings.Contains(text, "<b>") || !strings.Contains(text, `id="secured-by"`) || strings.Contains(text, "/brand/") || strings.Contains(text, "<!--") {
			t.Errorf("%s: %d %s", path, res.StatusCode, text)
		}
		if res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
	_, body := requestPage(t, pages["branded"], http.MethodGet, "/", "Accept-Encoding", "gzip")
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	for purpose, url := range brand.URLs() {
		if !strings.Contains(string(unzipped), `="`+url+`"`) {
			t.Errorf("the document lacks the %s: %s", purpose, unzipped)
		}
		if res, _ := requestPage(t, pages["branded"], http.MethodGet, url); res.StatusCode != 200 {
			t.Errorf("%s: status %d", url, res.StatusCode)
		}
	}
	if text := string(unzipped); strings.Contains(text, `id="secured-by"`) || strings.Contains(text, "/assets/favicon") || !strings.Contains(text, `alt="Example"`) {
		t.Errorf("the branded document is %s", text)
	}
}

// The document has the texts of the user's language, and of no other one the script with the messages.
func TestMount_RendersDocumentInEachLanguage(t *testing.T) {
	for _, c := range []struct {
		preferences string
		fallback    locales.Language
		want        locales.Language
	}{{"", "", "en"}, {"fr", "de", "de"}, {"de-AT,en;q=0.5", "en", "de"}, {"en", "de", "en"}} {
		for _, path := range []string{"/", "/nowhere"} {
			res, body := requestPage(t, webui.Page{Language: c.fallback}, http.MethodGet, path, "Accept", "text/html", "Accept-Language", c.preferences)
			texts := locales.Of(c.want).Document
			for _, part := range []locales.Message{`<html lang="` + locales.Message(c.want) + `" dir="ltr" data-language="` + locales.Message(cmp.Or(c.fallback, "en")) + `">`, texts.Description, texts.Loading, texts.Late, texts.Again, texts.NoScriptTitle, texts.NoScript} {
				if part == "" || !strings.Contains(string(body), string(part)) {
					t.Errorf("%q, fallback %q: %s lacks %q: %s", c.preferences, c.fallback, path, part, body)
				}
			}
			if found := regexp.MustCompile(`href="(/assets/[a-z]{2}-[^"]*)"`).FindAllSubmatch(body, -1); len(found) != 1 || !strings.HasPrefix(string(found[0][1]), "/assets/"+string(c.want)+"-") {
				t.Errorf("%q, fallback %q: %s loads the messages %q", c.preferences, c.fallback, path, found)
			}
			if got := res.Header.Get("Vary") + " " + res.Header.Get("Content-Language"); got != "Accept-Language, Accept-Encoding "+string(c.want) {
				t.Errorf("%q, fallback %q: %s has the headers %s", c.preferences, c.fallback, path, got)
			}
		}
	}
}

// Programs get the problem document of the API.
func TestMount_MissingPathsOfProgramsAreNoPage(t *testing.T) {
	for _, c := range [][3]string{
		{http.MethodGet, "/nowhere", "application/json"}, {http.MethodGet, "/favicon.ico", "image/avif,image/webp,*/*"}, {http.MethodPost, "/nowhere", "text/html"},
		{http.MethodGet, "/v1/nowhere", "text/html"}, {http.MethodGet, "/.well-known/nowhere", "text/html"}, {http.MethodGet, "/assets/app.js", "text/html"},
	} {
		res, body := request(t, c[0], c[1], "Accept", c[2])
		if res.StatusCode != http.StatusNotFound || strings.Contains(string(body), "<title>") {
			t.Errorf("%v: %d %s", c, res.StatusCode, body)
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
	for _, name := range []string{"src/index.html", "src/favicon.svg"} {
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
		if found := markup.Find(source(t, name)); isScript(name) && found != nil {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

// An injected script can read browser storage, which also outlives the session (NIST SP 800-63B-4, section 5.1). The session
// is in an HttpOnly cookie.
// Requirement: NIST-5.1
func TestPage_NoSecretInBrowserStorage(t *testing.T) {
	storage := regexp.MustCompile(`localStorage.*|sessionStorage.*|indexedDB|document\.cookie|cookieStore|caches\.|serviceWorker|history\.(push|replace)State\([^n]`)
	// The typed e-mail address, the decisions of a review, "Not now" to a passkey on this device, the address to return to, and
	// the language.
	harmless := regexp.MustCompile(`^(session|local)Storage\.(get|set|remove)Item\((typedKey|storeKey\(session\)|declinedKey|returnKey|languageKey)`)
	scripts := 0
	for _, name := range sourceFiles(t) {
		if !isScript(name) {
			continue
		}
		scripts++
		for _, found := range storage.FindAll(source(t, name), -1) {
			if !harmless.Match(found) {
				t.Errorf("%s uses %s", name, found)
			}
		}
	}
	if scripts < 30 {
		t.Errorf("found only %d scripts", scripts)
	}
}

// kitAddress matches the modules that pages of other origins load.
var kitAddress = regexp.MustCompile(`^kit/(keylodge|elements)\b`)

// The document loads one script with what it needs at once, and one style sheet. Every other file is loaded by a script.
// Requirement: WebAuthn-13.4.8
func TestPage_AssetsMatchReferences(t *testing.T) {
	loaded := map[string]string{}
	for _, match := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllSubmatch(built(t, "index.html"), -1) {
		loaded[string(match[1])] = filepath.Ext(string(match[1]))
	}
	if kinds := slices.Compact(slices.Sorted(maps.Values(loaded))); !slices.Equal(kinds, []string{".css", ".js", ".svg"}) {
		t.Errorf("the document refers to %v", loaded)
	}
	var scripts strings.Builder
	for name := range assetPaths(t) {
		if filepath.Ext(name) == ".js" {
			scripts.Write(built(t, name))
		}
	}
	for name, address := range assetPaths(t) {
		imported := strings.Contains(scripts.String(), `"./`+filepath.Base(name)+`"`)
		if loaded[address] == "" && !imported && !kitAddress.MatchString(name) {
			t.Errorf("%s is embedded but not referred to", name)
		}
		delete(loaded, address)
	}
	if len(loaded) > 0 {
		t.Errorf("the document refers to files that do not exist: %v", loaded)
	}
}

// The bundles have only what app.js and the index of the elements import, directly or not.
func TestScripts_AreImported(t *testing.T) {
	imported := map[string]bool{"src/app.js": true, "elements/index.js": true}
	for pending := slices.Collect(maps.Keys(imported)); len(pending) > 0; {
		name := pending[0]
		pending = pending[1:]
		for _, found := range regexp.MustCompile(`(?:from |import |import\()'(\.[^']+)'`).FindAllSubmatch(source(t, name), -1) {
			module := path.Join(path.Dir(name), string(found[1]))
			if strings.HasPrefix(module, "..") || imported[module] { // the messages are outside
				continue
			}
			imported[module] = true
			if isScript(module) {
				pending = append(pending, module)
			}
		}
	}
	for _, name := range sourceFiles(t) {
		if isScript(name) && !imported[name] {
			t.Errorf("no module imports %s", name)
		}
	}
}

// Without the style sheet, an image without a size fills the window.
func TestPage_ImagesHaveASize(t *testing.T) {
	images := 0
	for _, e := range elements(t, "src/index.html") {
		if e.name != "svg" {
			continue
		}
		images++
		if e.attributes["width"] == "" || e.attributes["height"] == "" {
			t.Errorf("<svg %v> has no width or no height", e.attributes)
		}
	}
	if images < 2 {
		t.Errorf("found only %d images", images)
	}
}

func TestPage_ReferencesExist(t *testing.T) {
	ids := map[string]bool{}
	all := elements(t, "src/index.html")
	for _, e := range all {
		if id := e.attributes["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	for _, e := range all {
		for _, attribute := range []string{"aria-labelledby", "aria-describedby", "for"} {
			if id := e.attributes[attribute]; id != "" && !ids[id] {
				t.Errorf("<%s %s=%q> refers to no element", e.name, attribute, id)
			}
		}
	}
}

// Users could find an event of no group only in the unfiltered log.
func TestEvents_EachIsInAGroup(t *testing.T) {
	_, groups, _ := strings.Cut(string(source(t, "elements/account/eventtexts.js")), "export const groups = {")
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
	delete(all, "index.html") // it is rendered, which other tests cover
	return all
}

// sourceFiles returns the paths of the files of the page, the elements and the kit before they are bundled.
func sourceFiles(t *testing.T) (names []string) {
	t.Helper()
	for _, folder := range []string{"src", "elements", "kit"} {
		err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "tests" {
				return filepath.SkipDir
			}
			if err == nil && !entry.IsDir() {
				names = append(names, filepath.ToSlash(name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 50 {
		t.Fatalf("found %d files", len(names))
	}
	return names
}

func isScript(name string) bool { return slices.Contains([]string{".js", ".jsx"}, filepath.Ext(name)) }

func built(t *testing.T, name string) []byte { return read(t, "dist", name) }

func source(t *testing.T, name string) []byte { return read(t, ".", name) }

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
	return requestPage(t, webui.Page{}, method, address, headers...)
}

func requestPage(t *testing.T, page webui.Page, method, address string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	app := fiber.New()
	webui.Mount(app, page)
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
	newer := regexp.MustCompile(`\.checkVisibility\(|FromJSON\(|\.toJSON\(|structuredClone\(|\(\?<[=!]|withResolvers\(|groupBy\(|\.to(Sorted|Reversed|Spliced)\(|AbortSignal\.any|URL\.canParse|(from|to)Base64\(|showPopover\(`)
	for _, name := range sourceFiles(t) {
		if !isScript(name) {
			continue
		}
		text := string(source(t, name))
		if name == "kit/credentials.js" {
			text = strings.Replace(text, "attempt(() => credential.toJSON())", "", 1) // its fallback
		}
		if found := newer.FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}
