package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table aligns rows in columns. Rows can be written in several parts; a column never gets narrower. Names that users chose are in the
// last column, so that their width does not matter.
type table struct {
	w        io.Writer
	headings []string // nil once they are written
	widths   []int
}

// newTable returns a table whose first write also writes the headings.
func newTable(w io.Writer, headings ...string) *table { return &table{w: w, headings: headings} }

func (t *table) write(rows ...[]string) {
	if t.headings != nil {
		rows = append([][]string{t.headings}, rows...)
		t.headings = nil
	}
	for _, row := range rows {
		t.sizeColumns(row)
	}
	for _, row := range rows {
		t.writeRow(row)
	}
}

// sizeColumns widens the columns for a row, and makes its cells printable.
func (t *table) sizeColumns(row []string) {
	for i, cell := range row {
		if row[i] = printable(cell); row[i] == "" {
			row[i] = "-"
		}
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(row[i]))
	}
}

func (t *table) writeRow(row []string) {
	var line strings.Builder
	for i, cell := range row {
		fmt.Fprintf(&line, "%-*s  ", t.widths[i], cell)
	}
	fmt.Fprintln(t.w, strings.TrimRight(line.String(), " "))
}
