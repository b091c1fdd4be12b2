package main

import (
	"bytes"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// encodings are the content codings of the compressed files. Both libraries have a fixed version here, so the same input gives
// the same bytes with each version of Go.
var encodings = []encoding{
	{".br", func(w io.Writer) (io.WriteCloser, error) {
		return brotli.NewWriterLevel(w, brotli.BestCompression), nil
	}},
	{".gz", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestCompression) }},
}

type encoding struct {
	suffix string
	writer func(io.Writer) (io.WriteCloser, error)
}

func (e encoding) compress(content []byte) ([]byte, error) {
	var compressed bytes.Buffer
	writer, err := e.writer(&compressed)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}
