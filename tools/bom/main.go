// Command bom prints the bill of materials of a Go binary, in CycloneDX 1.6: its modules, with their versions and hashes, and Go itself.
// The same binary gives the same bytes.
//
//	bom -version v1.2.3 FILE
package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

func main() {
	version := flag.String("version", "", "release of the binary")
	flag.Parse()
	if err := run(os.Stdout, flag.Arg(0), *version); err != nil {
		fmt.Fprintln(os.Stderr, "bom:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, file, version string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	bom := cyclonedx.NewBOM()
	program := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, Name: info.Main.Path, Version: version,
		BOMRef: filepath.Base(file), Properties: &[]cyclonedx.Property{},
	}
	for _, name := range []string{"GOOS", "GOARCH", "CGO_ENABLED"} {
		*program.Properties = append(*program.Properties, cyclonedx.Property{Name: "go:" + name, Value: settingOf(info, name)})
	}
	bom.Metadata = &cyclonedx.Metadata{Component: &program}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	components := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypeLibrary, BOMRef: "std", Name: "std", Version: goVersion, PackageURL: "pkg:golang/std@" + goVersion,
	}}
	for _, module := range info.Deps {
		component, err := componentOf(module)
		if err != nil {
			return err
		}
		components = append(components, component)
	}
	bom.Components = &components
	var uses []string
	for _, c := range components {
		uses = append(uses, c.BOMRef)
	}
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: program.BOMRef, Dependencies: &uses}}
	encoder := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON)
	encoder.SetPretty(true)
	encoder.SetEscapeHTML(false)
	return encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}

// componentOf returns the component of a module. Its hash is that of go.sum: of a list of the files' hashes, not of an archive.
func componentOf(module *debug.Module) (cyclonedx.Component, error) {
	if module.Replace != nil {
		module = module.Replace
	}
	url := "pkg:golang/" + module.Path + "@" + module.Version
	component := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeLibrary, BOMRef: url, Name: module.Path, Version: module.Version, PackageURL: url,
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(module.Sum, "h1:"))
	if err != nil || len(sum) != 32 {
		return component, fmt.Errorf("%s has the hash %q", module.Path, module.Sum)
	}
	component.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	return component, nil
}

func settingOf(info *buildinfo.BuildInfo, name string) string {
	for _, s := range info.Settings {
		if s.Key == name {
			return s.Value
		}
	}
	return ""
}
