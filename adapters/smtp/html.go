package smtp

import (
	"cmp"
	"html"
	"strings"

	"github.com/keylodge/keylodge/locales"
)

// markup is the format of the HTML part. All text is escaped here, so that content has no other elements than these.
var markup = format{
	text: html.EscapeString,
	name: func(s string) string { return "<bdi>" + html.EscapeString(s) + "</bdi>" },
	link: func(url string) string {
		return `<a class="link" style="color:#1b4f9c" href="` + html.EscapeString(url) + `">` + html.EscapeString(url) + `</a>`
	},
}

// The HTML part uses what mail clients support: tables for the layout, and a style attribute on each element. The style sheet only
// has the colours of the dark mode, for clients that read it. Nothing is loaded.
const (
	htmlHead = `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
`
	htmlStyle = `<style>
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  .page { background: #0b101b !important; }
  .card { background: #161d29 !important; border-color: #2b3546 !important; }
  .text, .code { color: #edf0f5 !important; }
  .quiet { color: #a4aebf !important; }
  .code { background: #101620 !important; border-color: #6b7789 !important; }
  .link { color: #8ab8ff !important; }
  .button { background: DARK_ACCENT !important; color: #101620 !important; }
}
</style>
`
	tableStart = `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"`
	fontFamily = `font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;`
	textStyle  = fontFamily + `font-size:16px;line-height:1.5;color:#141c2b;overflow-wrap:anywhere`
	quietStyle = fontFamily + `font-size:13px;line-height:1.5;color:#556074;overflow-wrap:anywhere`
)

// html returns the content, in the format markup, as an HTML document.
func (m *Mailer) html(subject string, c content, texts *locales.Texts) string {
	var b strings.Builder
	write := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
	}
	paragraph := func(class, style, text string) {
		write(`<p class="`, class, `" style="margin:0 0 16px;`, style, `">`, text, "</p>\n")
	}
	url, service := html.EscapeString(m.config.PublicURL), markup.name(m.serviceName())

	write("<!doctype html>\n", `<html lang="`, html.EscapeString(string(texts.Language)), `" dir="`, html.EscapeString(texts.Direction), "\">\n<head>\n",
		htmlHead, "<title>", html.EscapeString(subject), "</title>\n",
		strings.Replace(htmlStyle, "DARK_ACCENT", html.EscapeString(cmp.Or(m.config.Brand.DarkAccent, "#f2c069")), 1), "</head>\n")
	write(`<body class="page" style="margin:0;padding:0;background:#f1f3f7">`, "\n",
		tableStart, ` class="page" style="background:#f1f3f7">`, `<tr><td align="center" style="padding:24px 12px">`, "\n",
		tableStart, ` style="max-width:560px">`, "\n",
		`<tr><td class="card" style="padding:28px 24px 12px;background:#ffffff;border:1px solid #e2e6ed;border-radius:12px;text-align:start">`, "\n")
	paragraph("quiet", quietStyle+";font-weight:600", service)
	write(`<h1 class="text" style="margin:0 0 16px;`, fontFamily, `font-size:22px;line-height:1.3;color:#141c2b;overflow-wrap:anywhere">`, html.EscapeString(subject), "</h1>\n")
	paragraph("text", textStyle, c.intro)
	if c.code != "" {
		write(`<p class="code" style="margin:0 0 16px;padding:16px;border:1px solid #7e889a;border-radius:8px;background:#fbfcfd;color:#141c2b;text-align:center;`,
			`font-family:ui-monospace,Menlo,Consolas,monospace;font-size:28px;line-height:1.2" dir="ltr">`, c.code, "</p>\n")
	}
	if len(c.facts) > 0 {
		write(`<table cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px">`, "\n")
		for _, f := range c.facts {
			write(`<tr><th class="quiet" scope="row" style="padding:2px 0;text-align:start;vertical-align:top;font-weight:normal;white-space:nowrap;`, quietStyle, `">`, f.label,
				`</th><td width="16"></td><td class="text" style="padding:2px 0;vertical-align:top;`, strings.Replace(textStyle, "16px", "14px", 1), `">`, f.value, "</td></tr>\n")
		}
		write("</table>\n")
	}
	for _, text := range c.advice {
		paragraph("text", textStyle, text)
	}
	write(`<p style="margin:8px 0 20px"><a class="button" style="display:inline-block;padding:12px 20px;border-radius:8px;background:`, html.EscapeString(cmp.Or(m.config.Brand.Accent, "#1b2740")), `;color:#ffffff;text-decoration:none;`,
		fontFamily, `font-size:16px;font-weight:600" href="`, url, `">`, c.open, "</a></p>\n")
	write("</td></tr>\n", `<tr><td style="padding:16px 24px;text-align:start">`, "\n")
	paragraph("quiet", quietStyle, service+`, <a class="link" style="color:#1b4f9c" href="`+url+`">`+url+"</a><br>"+c.footer)
	for i, l := range c.links {
		if i > 0 {
			write(" · ")
		}
		write(`<a class="link" style="`, quietStyle, `;color:#1b4f9c" href="`, html.EscapeString(l.url), `">`, l.label, "</a>")
	}
	write("</td></tr>\n</table>\n</td></tr></table>\n</body>\n</html>\n")
	return b.String()
}
