package smtp

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"
)

// TestTemplates_LikeTextTemplate executes every template with every combination of empty members, here and by text/template.
func TestTemplates_LikeTextTemplate(t *testing.T) {
	original := template.Must(template.New("").ParseFS(templateFiles, "templates/*.txt"))
	members := []string{"ByOperator", "Code", "CodeExpires", "Device", "IP", "Passkey", "Service", "URL", "When"}
	for combination := range 1 << len(members) {
		data := templateData{}
		for i, member := range members {
			data[member] = ""
			if combination>>i&1 == 1 {
				data[member] = "<" + member + ">"
			}
		}
		for name := range templates {
			var want strings.Builder
			if err := original.ExecuteTemplate(&want, name, data); err != nil {
				t.Fatal(err)
			}
			if got, err := templates.execute(name, data); err != nil || got != want.String() {
				t.Fatalf("%s of %v:\n%s\n%v, want\n%s", name, data, got, err, &want)
			}
		}
	}
}

func TestTemplates_UnsupportedIsError(t *testing.T) {
	for _, text := range []string{
		"{{.Unknown}}", "{{.Service.Name}}", "{{range .Service}}{{end}}", "{{1}}", "{{if .Unknown}}{{end}}", `{{template "unknown" .}}`,
		"{{with $x := .Service}}{{end}}", "{{.Service | .URL}}",
	} {
		trees, err := parse.Parse("a", text, "", "")
		if err != nil {
			t.Fatal(err)
		}
		set := templateSet(maps.Clone(trees))
		if got, err := set.execute("a", templateData{"Service": "S", "URL": "U"}); err == nil || got != "" {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, err := templates.execute("unknown.txt", nil); err == nil {
		t.Errorf("an unknown template: %q; there are %v", got, slices.Sorted(maps.Keys(templates)))
	}
}
