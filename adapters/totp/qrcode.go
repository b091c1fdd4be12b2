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
	width     = 256 // pixels at most: two for each module of the longest names
	quietZone = 4   // white modules on all sides (ISO/IEC 18004, section 5.3.8); a dark page would hide the code else
)

// qrCode draws a text as a PNG image. Its modules are as large as the low level of error correction lets them be, since
// nothing soils a screen.
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
