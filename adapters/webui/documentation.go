package webui

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// documentation has the documents as HTML, which `make documentation` renders.
//
//go:embed documentation.zip
var documentation []byte

// mountDocumentation serves the documents at /docs and below it, for GET and HEAD.
func mountDocumentation(app fiber.Router) error {
	archive, err := zip.NewReader(bytes.NewReader(documentation), int64(len(documentation)))
	if err != nil {
		return fmt.Errorf("reading the embedded documents: %w", err)
	}
	for _, file := range archive.File {
		app.Get("/"+file.Name, serveDocument(file))
	}
	return nil
}

// serveDocument serves a file of the archive. Nothing of it stays in memory: documents are read rarely.
func serveDocument(file *zip.File) fiber.Handler {
	contentType := contentTypes[".html"]
	if strings.HasSuffix(file.Name, ".css") {
		contentType = contentTypes[".css"]
	}
	return func(c *fiber.Ctx) error {
		coding, read := "", decompressed
		if accepts(c.Get(fiber.HeaderAcceptEncoding), "gzip") {
			coding, read = "gzip", gzipped
		}
		body, err := read(file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file.Name, err)
		}
		return (&resource{contentType: contentType, cacheControl: cacheControl(file.Name), forms: []form{newForm(coding, body)}}).serve(c)
	}
}

func decompressed(file *zip.File) ([]byte, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return body, err
}

// gzipped returns a file as one of gzip (RFC 1952, section 2.3): a header without a name and a time, the data as the archive has them,
// and a trailer.
func gzipped(file *zip.File) ([]byte, error) {
	const unknownSystem = 255
	raw, err := file.OpenRaw()
	if err != nil {
		return nil, err
	}
	deflated, err := io.ReadAll(raw)
	if err != nil {
		return nil, err
	}
	member := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, unknownSystem}, deflated...)
	member = binary.LittleEndian.AppendUint32(member, file.CRC32)
	return binary.LittleEndian.AppendUint32(member, uint32(file.UncompressedSize64)), nil //nolint:gosec // modulo 2^32, by RFC 1952
}
