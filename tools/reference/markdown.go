package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// width is the length of a line of prose.
const width = 100

// document is a Markdown page.
type document struct{ strings.Builder }

// newDocument begins a page. The sentence about its origin follows the title.
func newDocument(title, introduction string) *document {
	d := &document{}
	d.heading(1, title)
	d.paragraph(introduction)
	return d
}

func (d *document) heading(level int, text string) {
	if d.Len() > 0 {
		d.WriteString("\n")
	}
	fmt.Fprintf(d, "%s %s\n", strings.Repeat("#", level), text)
}

// paragraph writes a text of paragraphs and lists, with its lines wrapped.
func (d *document) paragraph(text string) {
	if text = strings.TrimSpace(text); text != "" {
		d.WriteString("\n" + wrap(text) + "\n")
	}
}

func (d *document) code(language, text string) {
	fmt.Fprintf(d, "\n```%s\n%s\n```\n", language, text)
}

// table writes a table if it has rows.
func (d *document) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	d.WriteString("\n| " + strings.Join(header, " | ") + " |\n|" + strings.Repeat(" --- |", len(header)) + "\n")
	for _, row := range rows {
		d.WriteString("|")
		for _, cell := range row {
			if cell = oneLine(cell); cell != "" {
				d.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`))
			}
			d.WriteString(" |")
		}
		d.WriteString("\n")
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// quoted returns a text as code.
func quoted(text string) string { return "`" + text + "`" }

// quotedList returns texts as code, separated by commas.
func quotedList(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = quoted(text)
	}
	return strings.Join(all, ", ")
}

var listItem = regexp.MustCompile(`^(?:- |\d+\. )`)

// wrap joins the lines of each paragraph and list item, and breaks them at the width.
func wrap(text string) string {
	var parts []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var items []string
		for line := range strings.SplitSeq(paragraph, "\n") {
			if line = strings.TrimSpace(line); len(items) == 0 || listItem.MatchString(line) {
				items = append(items, line)
			} else {
				items[len(items)-1] += " " + line
			}
		}
		for i, item := range items {
			items[i] = wrapLine(item, strings.Repeat(" ", len(listItem.FindString(item))), width)
		}
		parts = append(parts, strings.Join(items, "\n"))
	}
	return strings.Join(parts, "\n\n")
}

// wrapLine breaks a text at spaces, and begins each further line with the indentation.
func wrapLine(text, indentation string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = indentation + word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// sentence returns a text that begins in upper case and ends with a full stop.
func sentence(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	text = strings.ToUpper(string(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
