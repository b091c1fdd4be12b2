package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

// The program is the tool itself: it has this library.
func TestRun_ListsModules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bom")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run(w, file, "v1.2.3"); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("two bills of one binary differ")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(&first, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if program := bom.Metadata.Component; program.Version != "v1.2.3" || program.Name != "github.com/keylodge/keylodge/tools" {
		t.Errorf("the program is %s %s", program.Name, program.Version)
	}
	found := map[string]cyclonedx.Component{}
	for _, c := range *bom.Components {
		found[c.Name] = c
	}
	library := found["github.com/CycloneDX/cyclonedx-go"]
	if want := "pkg:golang/github.com/CycloneDX/cyclonedx-go@" + library.Version; library.PackageURL != want || len((*library.Hashes)[0].Value) != 64 {
		t.Errorf("the library is %+v, want %s", library, want)
	}
	if std := found["std"]; !strings.HasPrefix(std.Version, "1.") {
		t.Errorf("the standard library is %+v", std)
	}
}

func TestRun_RejectsOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(&bytes.Buffer{}, file, ""); err == nil {
		t.Error("a text file has a bill of materials")
	}
}
