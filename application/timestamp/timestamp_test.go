package timestamp_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/timestamp"
)

func TestTime_HasSixDigits(t *testing.T) {
	east := time.FixedZone("", 2*60*60)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 11, 29, 2, 18, 25, 598_279_000, time.UTC), `"2026-11-29T02:18:25.598279Z"`},
		{time.Date(2026, 11, 29, 2, 18, 25, 598_270_000, time.UTC), `"2026-11-29T02:18:25.598270Z"`},
		{time.Date(2026, 11, 29, 2, 18, 25, 500_000_000, time.UTC), `"2026-11-29T02:18:25.500000Z"`},
		{time.Date(2026, 11, 29, 2, 18, 25, 0, time.UTC), `"2026-11-29T02:18:25.000000Z"`},
		{time.Date(2026, 11, 29, 2, 18, 25, 999_999_999, time.UTC), `"2026-11-29T02:18:25.999999Z"`},
		{time.Date(2026, 11, 29, 4, 18, 25, 1_000, east), `"2026-11-29T02:18:25.000001Z"`},
	} {
		encoded, err := json.Marshal(map[string]any{"a": timestamp.Of(c.at), "b": timestamp.Time(c.at), "c": timestamp.Optional(c.at)})
		if want := `{"a":` + c.want + `,"b":` + c.want + `,"c":` + c.want + `}`; err != nil || string(encoded) != want {
			t.Errorf("got %s, %v, want %s", encoded, err, want)
		}
		var decoded timestamp.Time
		if err := json.Unmarshal([]byte(c.want), &decoded); err != nil || !time.Time(decoded).Equal(c.at.Truncate(time.Microsecond)) {
			t.Errorf("%s decodes to %v, %v", c.want, decoded, err)
		}
	}
	for _, other := range []string{`"2026-11-29T02:18:25Z"`, `"2026-11-29T02:18:25.59827Z"`, `"2026-11-29T02:18:25.598279+00:00"`, `"2026-11-29 02:18:25.598279Z"`, `1764382705`, `null`, `{}`} {
		if err := json.Unmarshal([]byte(other), new(timestamp.Time)); err == nil {
			t.Errorf("%s was decoded", other)
		}
	}
	if encoded, err := json.Marshal(timestamp.Optional(time.Time{})); err != nil || string(encoded) != "null" {
		t.Errorf("the zero time encodes to %s, %v", encoded, err)
	}
}

// Other types encode a time with as many digits as its value needs.
func TestTime_OnlyTimeTypeInJSON(t *testing.T) {
	for _, pattern := range []string{"../../adapters/httpapi/*.go", "../../adapters/cli/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(source, func(n ast.Node) bool {
				field, ok := n.(*ast.Field)
				if !ok || field.Tag == nil || !strings.Contains(field.Tag.Value, "json:") {
					return true
				}
				fieldType := field.Type
				if pointer, ok := fieldType.(*ast.StarExpr); ok {
					fieldType = pointer.X
				}
				if named, ok := fieldType.(*ast.SelectorExpr); ok && named.Sel.Name == "Time" && named.X.(*ast.Ident).Name == "time" {
					t.Errorf("%s: the member %s is a time.Time; make it a timestamp.Time", file, field.Tag.Value)
				}
				return true
			})
		}
	}
}
