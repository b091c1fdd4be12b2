package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table aligns rows. They can come in several goes; no column gets narrower from one to the next. What users chose goes
// into the last column, whose width is nobody's concern.
type table struct {
	w        io.Writer
	headings []string // headings that are still to be written
	widths   []int
}

// newTable writes its headings with the first rows, or with none.
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

// sizeColumns makes the columns wide enough for a row, and the row fit to be shown.
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
