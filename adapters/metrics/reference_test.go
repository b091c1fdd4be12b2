package metrics

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md")

// docs/reference/metrics.md is generated from the registry.
func TestReference_Metrics(t *testing.T) {
	const file = "../../docs/reference/metrics.md"
	want := describe(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is out of date: run `make generate` (%v)", file, err)
	}
}

func describe(t *testing.T) string {
	t.Helper()
	m := New()
	m.ObserveRequest("GET", "/v1/me", 200, 0) // these metrics have no label values before the first request and the first run
	m.ObserveJob("send e-mails", 0, true)
	m.SetVersion("1.2.3")
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Metrics

` + "`KEYLODGE_OPS_LISTEN`" + ` serves these metrics for Prometheus at ` + "`/metrics`" + `, with those of Go's
runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `). No metric has an address, a name or an id. Every
value of a label is exported from the start, at zero, except those of requests and of jobs, which
are exported from the first one.

` + "`make generate`" + ` writes this page from the registry.

| Name | Type | Labels | Description |
| --- | --- | --- | --- |
`)
	values := map[string]map[string]bool{} // by metric and label
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "keylodge_") {
			continue
		}
		var labels []string
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				key := family.GetName() + " " + label.GetName()
				if values[key] == nil {
					values[key] = map[string]bool{}
					labels = append(labels, "`"+label.GetName()+"`")
				}
				values[key][label.GetValue()] = true
			}
		}
		cell := ""
		if len(labels) > 0 {
			cell = strings.Join(labels, ", ") + " "
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s| %s |\n", family.GetName(), strings.ToLower(family.GetType().String()), cell, family.GetHelp())
	}
	b.WriteString("\n## Values of labels\n\n| Metric | Label | Values |\n| --- | --- | --- |\n")
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name, label, _ := strings.Cut(key, " ")
		all := "`" + strings.Join(slices.Sorted(maps.Keys(values[key])), "`, `") + "`"
		if open := map[string]string{
			"method": "the method", "route": "the pattern of the path, such as `/v1/me/passkeys/:id`; `none` without a route", "status": "the status",
			"job_name": "the name of the job, as in the log", "version": "the version of the program", "goversion": "the version of Go",
		}[label]; open != "" {
			all = open
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", name, label, all)
	}
	return b.String()
}
