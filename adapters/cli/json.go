package cli

import (
	"encoding/json"
	"io"
)

// printJSON prints a document.
func printJSON(w io.Writer, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, printableJSON(string(text))+"\n")
	return err
}

// jsonList writes the document {"<name>":[…]} one element at a time, so that a list of any length needs little memory.
type jsonList struct {
	w         io.Writer
	separator string
}

func beginJSONList(w io.Writer, name string) (*jsonList, error) {
	_, err := io.WriteString(w, `{"`+name+`":[`)
	return &jsonList{w: w, separator: "\n"}, err
}

func (l *jsonList) add(element any) error {
	text, err := json.Marshal(element)
	if err != nil {
		return err
	}
	_, err = io.WriteString(l.w, l.separator+printableJSON(string(text)))
	l.separator = ",\n"
	return err
}

func (l *jsonList) end() error {
	_, err := io.WriteString(l.w, "\n]}\n")
	return err
}
