package main

import (
	"errors"
	"go/ast"
	"slices"
	"strings"
)

// logMessage is a message that the program logs.
type logMessage struct {
	level, text, meaning string
	attributes           []string
	source               string        // the folder of the package
	call                 *ast.CallExpr // that has the text
}

// logMethods are the methods of slog.Logger with the position of the message among their arguments. Those without a fixed level
// have it before the message.
var logMethods = map[string]int{"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "Log": 2, "LogAttrs": 2}

func (p *project) logMessages() (all []logMessage, err error) {
	for _, source := range p.packages {
		source.functions(func(in *ast.FuncDecl) {
			calls(in.Body, func(method string, call *ast.CallExpr) {
				at := logMethods[method]
				if !isLogger(call) || len(call.Args) <= at {
					return
				}
				levels := []string{strings.ToUpper(method)}
				if at > 0 {
					levels = source.levels(call.Args[1], in)
				}
				for _, m := range source.messagesOf(call, at, in) {
					m.meaning = p.meaning(source, m.call)
					switch {
					case m.text == unknown:
						err = errors.New(p.position(call) + ": the message is not constant")
					case m.meaning == "":
						err = errors.New(p.position(m.call) + ": the message has no comment // Meaning: …")
					}
					m.level, m.source = strings.Join(levels, ", "), source.path
					all = append(all, m)
				}
			}, "Debug", "Info", "Warn", "Error", "Log", "LogAttrs")
		})
	}
	if err == nil && len(all) == 0 {
		err = errors.New("the program logs nothing")
	}
	slices.SortStableFunc(all, func(a, b logMessage) int { return strings.Compare(strings.ToLower(a.text), strings.ToLower(b.text)) })
	return all, err
}

// isLogger reports whether a method is called on a variable or a field named log.
func isLogger(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch on := method.X.(type) {
	case *ast.Ident:
		return on.Name == "log"
	case *ast.SelectorExpr:
		return on.Sel.Name == "log"
	}
	return false
}

// messagesOf returns the messages of a call. If the message is a parameter, they are those of the calls of this function, with
// the attributes of both.
func (s *sourcePackage) messagesOf(call *ast.CallExpr, at int, in *ast.FuncDecl) (all []logMessage) {
	own := s.attributes(call.Args[at+1:], in)
	if message, ok := call.Args[at].(*ast.Ident); ok {
		if position := parameter(message.Name, in.Type); position >= 0 {
			s.functions(func(caller *ast.FuncDecl) {
				calls(caller.Body, func(_ string, outer *ast.CallExpr) {
					for _, text := range s.texts(outer.Args[position], caller) {
						all = append(all, logMessage{text: text, attributes: append(slices.Clone(own), s.attributes(outer.Args[position+1:], caller)...), call: outer})
					}
				}, in.Name.Name)
			})
			return all
		}
	}
	for _, text := range s.texts(call.Args[at], in) {
		all = append(all, logMessage{text: text, attributes: own, call: call})
	}
	return all
}

// meaning returns the comment "Meaning: …" directly above a call, or "".
func (p *project) meaning(source *sourcePackage, call *ast.CallExpr) string {
	at := p.files.Position(call.Pos())
	for _, comment := range source.comments() {
		if end := p.files.Position(comment.End()); end.Filename == at.Filename && end.Line == at.Line-1 {
			_, text, _ := strings.Cut(comment.Text(), "Meaning: ")
			return pagePath.ReplaceAllString(oneLine(text), "[$0](../$1)")
		}
	}
	return ""
}

// attributes returns the names of the attributes in the arguments, and in the variables that they use.
func (s *sourcePackage) attributes(arguments []ast.Expr, in *ast.FuncDecl) (names []string) {
	collect := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if made, ok := call.Fun.(*ast.SelectorExpr); ok {
				if from, ok := made.X.(*ast.Ident); ok && from.Name == "slog" && len(call.Args) == 2 {
					if name, ok := literal(call.Args[0]); ok && !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
			return true
		})
	}
	for _, argument := range arguments {
		collect(argument)
		ast.Inspect(argument, func(n ast.Node) bool {
			if variable, ok := n.(*ast.Ident); ok {
				assignments(in.Body, func(assigned string, value ast.Expr) {
					if assigned == variable.Name {
						collect(value)
					}
				})
			}
			return true
		})
	}
	return names
}

// levels returns the levels that a variable of a function may have.
func (s *sourcePackage) levels(level ast.Expr, in *ast.FuncDecl) (found []string) {
	add := func(e ast.Expr) {
		if constant, ok := e.(*ast.SelectorExpr); ok {
			if name, ok := strings.CutPrefix(constant.Sel.Name, "Level"); ok && !slices.Contains(found, strings.ToUpper(name)) {
				found = append(found, strings.ToUpper(name))
			}
		}
	}
	add(level)
	if variable, ok := level.(*ast.Ident); ok {
		assignments(in.Body, func(assigned string, value ast.Expr) {
			if assigned == variable.Name {
				add(value)
			}
		})
	}
	return found
}

func logPage(p *project) (string, error) {
	all, err := p.logMessages()
	if err != nil {
		return "", err
	}
	d := newDocument("Log messages", `
The server logs to standard error, one record a line: text on a terminal, else JSON (`+"`KEYLODGE_LOG_FORMAT`"+`). `+"`msg`"+` is one of these
constant texts; everything else is in the attributes. `+"`KEYLODGE_LOG_LEVEL`"+` selects the minimum level.

Find all records of a request by its `+"`request_id`"+`:`)
	d.code("sh", `grep LCNJTYJAFO4CMTBNRPZDYK2JVF keylodge.log`)
	d.paragraph("`make generate` writes this page from the calls of the logger in the sources.")
	for _, level := range []string{"ERROR", "WARN", "INFO", "DEBUG"} {
		var rows [][]string
		for _, m := range all {
			levels := strings.Split(m.level, ", ")
			if slices.Contains(levels, level) {
				rows = append(rows, []string{quoted(m.text), m.meaning, quotedList(m.attributes), m.source})
			}
		}
		d.heading(2, level)
		d.table([]string{"Message", "Meaning", "Attributes", "Source"}, rows)
	}
	return d.String(), nil
}
