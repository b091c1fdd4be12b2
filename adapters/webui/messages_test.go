package webui_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each message that the elements use exists, and each message of the page is used. A key in a template literal stands for all keys with
// its beginning.
func TestMessages_AreUsed(t *testing.T) {
	var file struct {
		Page map[string]any `json:"page"`
	}
	raw, err := os.ReadFile("../../locales/en.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Page) < 100 {
		t.Fatalf("%d messages, %v", len(file.Page), err)
	}
	exact, beginnings := map[string]bool{}, []string{"error.", "notice."} // by the codes of errors and ends
	for _, name := range sourceFiles(t) {
		if !isScript(name) {
			continue
		}
		text := source(t, name)
		for _, found := range regexp.MustCompile(`'([a-z_]+(?:\.[a-z_]+)+)'`).FindAllSubmatch(text, -1) {
			exact[string(found[1])] = true
		}
		for _, found := range regexp.MustCompile("`([a-z_]+\\.[a-z_]*)\\$\\{").FindAllSubmatch(text, -1) {
			beginnings = append(beginnings, string(found[1]))
		}
	}
	for key := range file.Page {
		if !exact[key] && !slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(key, b) }) {
			t.Errorf("no element uses the message %s", key)
		}
	}
	for key := range exact {
		elsewhere := slices.ContainsFunc([]string{"events.", "format.", "error.field."}, func(b string) bool { return strings.HasPrefix(key, b) })
		if _, exists := file.Page[key]; !exists && !elsewhere {
			t.Errorf("there is no message %s", key)
		}
	}
}

// The elements know each language of locales, with its name, and each has its module.
func TestMessages_EveryLanguageHasItsModule(t *testing.T) {
	files, err := filepath.Glob("../../locales/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	list, err := os.ReadFile("elements/messages.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var texts struct{ Language, Name string }
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &texts); err != nil {
			t.Fatal(err)
		}
		if module, err := os.ReadFile("elements/languages/" + texts.Language + ".js"); err != nil || !strings.Contains(string(module), "locales/"+texts.Language+".json'") {
			t.Errorf("%s: %s, %v", texts.Language, module, err)
		}
		for _, part := range []string{texts.Language + ": '" + texts.Name + "'", texts.Language + ": () => import('./languages/" + texts.Language + ".js')"} {
			if !strings.Contains(string(list), part) {
				t.Errorf("elements/messages.js lacks %s", part)
			}
		}
	}
}

// Each reason of the browser's prompt has a message. An aborted ceremony is not shown, and the message of any other failure is general.
func TestMessages_CoverErrorsOfTheKit(t *testing.T) {
	var file struct {
		Page map[string]any `json:"page"`
	}
	raw, err := os.ReadFile("../../locales/en.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{"insecure_context": true, "webauthn_missing": true} // those that obstacle returns
	for _, name := range []string{"errors.js", "prompt.js", "client.js", "keylodge.js"} {
		for _, found := range regexp.MustCompile(`Error: \['([a-z_]+)'|KeylodgeError\('([a-z_]+)'`).FindAllSubmatch(source(t, "kit/"+name), -1) {
			codes[string(found[1])+string(found[2])] = true
		}
	}
	delete(codes, "aborted")
	delete(codes, "step_up_required") // the client handles it
	if len(codes) < 10 {
		t.Fatalf("found only the codes %v", codes)
	}
	for code := range codes {
		if _, exists := file.Page["error."+code]; !exists {
			t.Errorf("there is no message for %s", code)
		}
	}
}
