package bootstrap

import (
	"crypto/rand"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// All random values that are secret come from the operating system (OWASP ASVS 5.0, 11.5.1). bootstrap passes the source to the
// use cases; packages that read random bytes themselves must not import math/rand.
// Requirement: ASVS-6.5.3, ASVS-11.5.1, RFC8725-3.5
func TestRandomness_UsesCryptoRand(t *testing.T) {
	if random() != rand.Reader {
		t.Errorf("the use cases read from %T", random())
	}
	notSecret := "adapters/postgres/retry.go" // the pause between retries
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		path = filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == "acceptance" || path == "tools" || strings.HasPrefix(entry.Name(), ".") && path != ".."):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go", strings.HasSuffix(path, "_test.go"), strings.HasPrefix(path, "ports/storetest/"), path == notSecret:
			return nil
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range parsed.Imports {
			if strings.HasPrefix(imported.Path.Value, `"math/rand`) {
				t.Errorf("%s imports %s", path, imported.Path.Value)
			}
		}
		return nil
	})
	if err != nil || files < 200 {
		t.Errorf("%d files, %v", files, err)
	}
}
