// Command bundle builds the files that package webui embeds, in adapters/webui/dist: the page from adapters/webui/src, one script,
// one style sheet and its document; and for pages of other origins the kit from adapters/webui/kit and the custom elements from
// adapters/webui/elements, one module each. The names of scripts, style sheets and images have a hash of their content, so browsers may
// keep them for ever. Beside each file is its compressed form for each encoding.
//
// Usage: bundle [-check] FOLDER
//
// FOLDER is the root of the project. With -check, it writes nothing, and exits with 1 if a file is missing, outdated or left over.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	reference = "docs/reference/kit.md"

	sources  = "adapters/webui/src"
	kit      = "adapters/webui/kit"
	elements = "adapters/webui/elements"
	output   = "adapters/webui/dist"
)

func main() {
	check := flag.Bool("check", false, "compare the files with the sources, and write nothing")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bundle [-check] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	built, err := build(root)
	if err != nil {
		return err
	}
	folder := filepath.Join(root, output)
	page, err := describeKit(built)
	if err != nil {
		return err
	}
	if check {
		text, err := os.ReadFile(filepath.Join(root, reference))
		if err == nil && !bytes.Equal(text, page) {
			err = fmt.Errorf("%s is outdated", reference)
		}
		return errors.Join(compare(folder, built), err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := write(folder, built); err != nil {
		return err
	}
	return write(root, files{reference: page})
}

// files maps slash-separated paths to their content.
type files map[string][]byte

// build returns the files of the output folder.
func build(root string) (files, error) {
	built, err := page(filepath.Join(root, sources))
	if err != nil {
		return nil, err
	}
	module, err := bundle(filepath.Join(root, kit, "keylodge.js"))
	if err != nil {
		return nil, err
	}
	built["kit/keylodge.js"] = module // always the one that fits the server
	built["kit/"+hashedName("keylodge.js", module)] = module
	if module, err = bundle(filepath.Join(root, elements, "index.js")); err != nil {
		return nil, err
	}
	built["kit/elements.js"] = module
	for _, name := range slices.Collect(maps.Keys(built)) {
		for _, encoding := range encodings {
			compressed, err := encoding.compress(built[name])
			if err != nil {
				return nil, err
			}
			built[name+encoding.suffix] = compressed
		}
	}
	return built, nil
}

// page builds the page. The document refers to each asset by the asset's name in the folder of sources.
func page(folder string) (files, error) {
	built := files{}
	document, err := os.ReadFile(filepath.Join(folder, "index.html"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"app.js", "app.css", "favicon.svg"} {
		content, err := asset(folder, name)
		if err != nil {
			return nil, err
		}
		address := path.Join("assets", hashedName(name, content))
		reference := fmt.Sprintf(`="%s"`, name)
		if bytes.Count(document, []byte(reference)) != 1 {
			return nil, fmt.Errorf("index.html must refer to %s once", name)
		}
		document = bytes.ReplaceAll(document, []byte(reference), fmt.Appendf(nil, `="/%s"`, address))
		built[address] = content
	}
	built["index.html"] = document
	return built, nil
}

func asset(folder, name string) ([]byte, error) {
	file := filepath.Join(folder, name)
	if path.Ext(name) == ".svg" {
		return os.ReadFile(file)
	}
	return bundle(file)
}

// bundle joins a script or a style sheet with all that it imports, and removes what a browser does not need.
func bundle(file string) ([]byte, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{absolute},
		Bundle:            true,
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		JSX:               api.JSXAutomatic,
		JSXImportSource:   "preact",
		NodePaths:         []string{filepath.Join(filepath.Dir(filepath.Dir(absolute)), "vendor")},
		Engines:           baseline,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		LogLevel:          api.LogLevelSilent,
	})
	var problems []error
	for _, message := range slices.Concat(result.Errors, result.Warnings) {
		place := file
		if message.Location != nil {
			place = fmt.Sprintf("%s:%d", message.Location.File, message.Location.Line)
		}
		problems = append(problems, fmt.Errorf("%s: %s", place, message.Text))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("%s: %d files, want 1", file, len(result.OutputFiles))
	}
	return result.OutputFiles[0].Contents, nil
}

// baseline is the oldest version of each engine that has passkeys with autofill.
var baseline = []api.Engine{
	{Name: api.EngineChrome, Version: "108"},
	{Name: api.EngineFirefox, Version: "119"},
	{Name: api.EngineSafari, Version: "16.0"},
}

func hashedName(name string, content []byte) string {
	digest := sha256.Sum256(content)
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(digest[:]))[:12]
	extension := path.Ext(name)
	return strings.TrimSuffix(name, extension) + "-" + hash + extension
}

func write(folder string, built files) error {
	for name, content := range built {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare returns an error for each difference between the folder and the built files.
func compare(folder string, built files) error {
	missing := maps.Clone(built)
	var differences []error
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		switch want, known := built[name]; {
		case !known:
			differences = append(differences, fmt.Errorf("%s is left over", name))
		case !bytes.Equal(content, want):
			differences = append(differences, fmt.Errorf("%s is outdated", name))
		}
		delete(missing, name)
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		differences = append(differences, fmt.Errorf("%s is missing", name))
	}
	return errors.Join(append(differences, err)...)
}
