package webui

import (
	"fmt"
	"math"
	"strconv"
)

// Color is a colour in sRGB. The zero value is black.
type Color struct{ r, g, b uint8 }

// ParseColor parses a colour of the form #rrggbb.
func ParseColor(s string) (Color, error) {
	n, err := strconv.ParseUint(s[min(1, len(s)):], 16, 24)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return Color{}, fmt.Errorf("%q is not a colour of the form #rrggbb", s)
	}
	return Color{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil //nolint:gosec // the low eight bits of each
}

// String returns the form #rrggbb.
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance returns the relative luminance, from 0 for black to 1 for white (WCAG 2.2).
func (c Color) luminance() float64 {
	linear := func(channel uint8) float64 {
		v := float64(channel) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast returns the contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
func contrast(a, b Color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix returns the colour that is the given percentage of the way to another.
func (c Color) mix(to Color, percent int) Color {
	channel := func(a, b uint8) uint8 { return uint8((int(a)*(100-percent) + int(b)*percent) / 100) } //nolint:gosec // between a and b
	return Color{channel(c.r, to.r), channel(c.g, to.g), channel(c.b, to.b)}
}

// The colours of elements/elements.css that an accent is seen on, and the extremes that it is moved towards.
var (
	lightPaper = Color{0xfb, 0xfc, 0xfd}
	darkField  = Color{0x16, 0x1d, 0x29} // lighter than the paper of the dark mode
	darkInk    = Color{0x10, 0x16, 0x20}
	white      = Color{0xff, 0xff, 0xff}
	black      = Color{}
)

const minContrast = 4.5 // WCAG 2.2, success criterion 1.4.3, level AA

// Scheme is the light or the dark mode of a page.
type Scheme struct {
	background, text, extreme Color
	name                      string
}

// The two modes. On a button of the accent colour, the text is white in the light mode and dark in the dark mode. Its contrast is
// at least that of the accent on the background.
var (
	LightScheme = Scheme{lightPaper, white, black, "light"}
	DarkScheme  = Scheme{darkField, darkInk, white, "dark"}
)

// Check returns an error if the contrast of the colour on the scheme's background is less than 4.5:1. The other result is a colour
// like it with enough contrast: itself if there is no error.
func (s Scheme) Check(c Color) (enough Color, err error) {
	enough = s.adjust(c)
	if enough != c {
		// Rounded down, so that 4.5 is never shown as too little.
		ratio := math.Floor(contrast(c, s.background)*100) / 100
		err = fmt.Errorf("%s has a contrast of %.2f:1 on the background of the %s mode, less than %.1f:1", c, ratio, s.name, minContrast)
	}
	return enough, err
}

// adjust moves a colour towards the extreme of the scheme until its contrast is enough.
func (s Scheme) adjust(c Color) Color {
	for percent := range 101 {
		if moved := c.mix(s.extreme, percent); contrast(moved, s.background) >= minContrast {
			return moved
		}
	}
	return s.extreme
}

// Accent is the operator's colour in both modes. The zero value stands for the colours of the page.
type Accent struct{ Light, Dark Color }

// NewAccent returns the accent of a light mode, with a colour like it for the dark mode.
func NewAccent(light Color) Accent { return Accent{light, DarkScheme.adjust(light)} }

// IsZero reports whether the page keeps its own colours.
func (a Accent) IsZero() bool { return a == Accent{} }

// stylesheet returns the custom properties of the elements that the accent changes.
func (a Accent) stylesheet() string {
	rule := func(s Scheme, c Color) string {
		return fmt.Sprintf(":root { --keylodge-action: %s; --keylodge-on-action: %s; --keylodge-mark: %[2]s; --keylodge-accent: %[1]s; }", c, s.text)
	}
	return rule(LightScheme, a.Light) + "\n@media (prefers-color-scheme: dark) { " + rule(DarkScheme, a.Dark) + " }\n"
}
