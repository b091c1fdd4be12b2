// Command bundle builds the files that package webui embeds, in adapters/webui/dist: the page from adapters/webui/src, with its
// document, scripts and style sheet; and for pages of other origins the kit from adapters/webui/kit and the custom elements from
// adapters/webui/elements. What a script imports later, such as the messages of a language, is a script of its own. The names of the
// page's files, and of those that are imported later, have a hash of their content, so browsers may keep them for ever. The
// server puts the brand into the document. Beside each other file is its compressed form for each encoding.
//
// Usage: bundle [-check] FOLDER
//
// FOLDER is the root of the project. With -check, it writes nothing, and exits with 1 if a file is missing, outdated or left over.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
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
	// The names without a hash are always those that fit the server.
	for name, source := range map[string]string{"keylodge": kit + "/keylodge.js", "elements": elements + "/index.js"} {
		module, err := bundle(filepath.Join(root, source), "kit", name)
		if err != nil {
			return nil, err
		}
		maps.Copy(built, module.files)
	}
	module := built["kit/keylodge.js"]
	built["kit/"+hashedName("keylodge.js", module)] = module
	for _, name := range slices.Collect(maps.Keys(built)) {
		if name == "index.html" {
			continue // the server renders it
		}
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
		assets, err := asset(folder, name)
		if err != nil {
			return nil, err
		}
		maps.Copy(built, assets.files)
		reference := fmt.Sprintf(`="%s"`, name)
		if bytes.Count(document, []byte(reference)) != 1 {
			return nil, fmt.Errorf("index.html must refer to %s once", name)
		}
		document = bytes.ReplaceAll(document, []byte(reference), fmt.Appendf(nil, `="/%s"`, assets.entry))
		document = bytes.Replace(document, []byte("</head>"), append(preload(assets.preloaded), "</head>"...), 1)
	}
	built["index.html"] = document
	return built, nil
}

// bundled are the files of a script or a style sheet, by path: the entry, which others refer to; those that it needs before it can
// start; and those that it imports later.
type bundled struct {
	entry     string
	preloaded []string
	files     files
}

func preload(scripts []string) (links []byte) {
	for _, script := range scripts {
		links = fmt.Appendf(links, "  <link rel=\"modulepreload\" href=\"/%s\">\n", script)
	}
	return links
}

func asset(folder, name string) (bundled, error) {
	file := filepath.Join(folder, name)
	if path.Ext(name) != ".svg" {
		return bundle(file, "assets", "[name]-[hash]")
	}
	content, err := os.ReadFile(file)
	address := path.Join("assets", hashedName(name, content))
	return bundled{entry: address, files: files{address: content}}, err
}

// bundle joins a script or a style sheet with all that it imports, and removes what a browser does not need. The files are in the
// output folder; entry is the name of the first one without its extension.
func bundle(file, folder, entry string) (bundled, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return bundled{}, err
	}
	root := filepath.Dir(filepath.Dir(absolute))
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{absolute},
		AbsWorkingDir:     root, // so that no name depends on where the project is
		Outdir:            folder,
		EntryNames:        entry,
		ChunkNames:        "[name]-[hash]",
		Bundle:            true,
		Splitting:         true,
		Metafile:          true,
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		JSX:               api.JSXAutomatic,
		JSXImportSource:   "preact",
		NodePaths:         []string{filepath.Join(root, "vendor")},
		Engines:           baseline,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		Plugins:           []api.Plugin{minifiedText},
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
		return bundled{}, errors.Join(problems...)
	}
	source, err := filepath.Rel(root, absolute)
	if err != nil {
		return bundled{}, err
	}
	return outputs(folder, filepath.ToSlash(source), result)
}

// minifiedText removes what a browser does not need also from a style sheet that a script imports as a text.
var minifiedText = api.Plugin{Name: "minified text", Setup: func(build api.PluginBuild) {
	build.OnLoad(api.OnLoadOptions{Filter: `\.css$`}, func(load api.OnLoadArgs) (api.OnLoadResult, error) {
		if load.With["type"] != "text" {
			return api.OnLoadResult{}, nil
		}
		source, err := os.ReadFile(load.Path)
		if err != nil {
			return api.OnLoadResult{}, err
		}
		result := api.Transform(string(source), api.TransformOptions{
			Loader: api.LoaderCSS, Engines: baseline, MinifyWhitespace: true, MinifySyntax: true, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsNone,
		})
		content := strings.TrimSpace(string(result.Code))
		return api.OnLoadResult{Contents: &content, Loader: api.LoaderText, Errors: result.Errors, Warnings: result.Warnings}, nil
	})
}}

// outputs returns the files of a build of a source.
func outputs(folder, source string, result api.BuildResult) (bundled, error) {
	var structure struct {
		Outputs map[string]struct {
			EntryPoint string                        `json:"entryPoint"`
			Imports    []struct{ Path, Kind string } `json:"imports"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(result.Metafile), &structure); err != nil {
		return bundled{}, err
	}
	built := bundled{files: files{}}
	for _, output := range result.OutputFiles {
		built.files[path.Join(folder, filepath.Base(output.Path))] = output.Contents
	}
	for address, output := range structure.Outputs {
		if output.EntryPoint != source {
			continue // imported later, or shared with what is
		}
		built.entry = address
		for _, imported := range output.Imports {
			if imported.Kind == "import-statement" {
				built.preloaded = append(built.preloaded, imported.Path)
			}
		}
	}
	return built, nil
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
