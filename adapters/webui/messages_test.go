package webui_test

import (
	"encoding/json"
	"io/fs"
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
	err = filepath.WalkDir("elements", func(name string, _ fs.DirEntry, err error) error {
		if extension := filepath.Ext(name); err != nil || extension != ".js" && extension != ".jsx" {
			return err
		}
		text, err := os.ReadFile(name)
		for _, found := range regexp.MustCompile(`'([a-z_]+(?:\.[a-z_]+)+)'`).FindAllSubmatch(text, -1) {
			exact[string(found[1])] = true
		}
		for _, found := range regexp.MustCompile("`([a-z_]+\\.[a-z_]*)\\$\\{").FindAllSubmatch(text, -1) {
			beginnings = append(beginnings, string(found[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
