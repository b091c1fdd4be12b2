package totp

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

const (
	width     = 256 // in pixels, maximum: two for each module of the longest names
	quietZone = 4   // white modules on all sides (ISO/IEC 18004, section 5.3.8); without them, a code on a dark page cannot be read
)

// qrCode returns the QR code of a text as a PNG image. It uses the lowest level of error correction, which allows the largest
// modules.
func qrCode(content string) ([]byte, error) {
	code, err := qr.Encode(content, qr.L, qr.Unicode)
	if err != nil {
		return nil, err
	}
	modules := code.Bounds().Dx()
	pixels := width / (modules + 2*quietZone)
	if code, err = barcode.Scale(code, modules*pixels, modules*pixels); err != nil {
		return nil, err
	}
	side := (modules + 2*quietZone) * pixels
	canvas := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	draw.Draw(canvas, code.Bounds().Add(image.Pt(quietZone*pixels, quietZone*pixels)), code, image.Point{}, draw.Src)
	var file bytes.Buffer
	if err := png.Encode(&file, canvas); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}
