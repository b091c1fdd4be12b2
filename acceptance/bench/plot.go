package main

import (
	"fmt"
	"math"
	"strings"
)

// The plot of the latency of a login against the number of clients. Both axes are logarithmic.
const (
	plotWidth, plotHeight           = 720, 400
	plotLeft, plotRight             = 70, 190
	plotTop, plotBottom             = 40, 50
	plotLeastMS, plotMostMS float64 = 0.1, 1000
)

var plotColours = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd"}

// plot returns an SVG: per server one line for p50 and a dashed one for p99.
func (r *Results) plot() string {
	var b strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&b, format+"\n", values...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" role="img">`, plotWidth, plotHeight)
	line(`<title>Latency of a login against the number of clients</title>`)
	line(`<rect width="%d" height="%d" fill="#fff"/>`, plotWidth, plotHeight)
	line(`<text x="%d" y="22" font-size="15">Login on one core: latency in ms against the number of clients</text>`, plotLeft)
	for ms := plotLeastMS; ms <= plotMostMS; ms *= 10 {
		line(`<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`, plotLeft, plotY(ms), plotWidth-plotRight, plotLeft-8, plotY(ms)+4, ms)
	}
	for _, clients := range clientCounts {
		line(`<text x="%.1f" y="%d" text-anchor="middle">%d</text>`, plotX(clients), plotHeight-plotBottom+20, clients)
	}
	for i, s := range r.Servers {
		var p50, p99 []string
		for _, clients := range clientCounts {
			if m, ok := r.measured(s.Name, logins, clients); ok {
				p50 = append(p50, fmt.Sprintf("%.1f,%.1f", plotX(clients), plotY(m.P50/1000)))
				p99 = append(p99, fmt.Sprintf("%.1f,%.1f", plotX(clients), plotY(m.P99/1000)))
			}
		}
		colour := plotColours[i%len(plotColours)]
		line(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(p50, " "), colour)
		line(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="5 4"/>`, strings.Join(p99, " "), colour)
		y := plotTop + 20 + 44*i
		line(`<path d="M%d %dh24" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s, p50</text>`, plotWidth-plotRight+14, y, colour, plotWidth-plotRight+44, y+4, s.Name)
		line(`<path d="M%d %dh24" stroke="%s" stroke-width="2" stroke-dasharray="5 4"/><text x="%d" y="%d">%s, p99</text>`, plotWidth-plotRight+14, y+20, colour, plotWidth-plotRight+44, y+24, s.Name)
	}
	line(`</svg>`)
	return b.String()
}

func plotX(clients int) float64 {
	share := math.Log(float64(clients)) / math.Log(float64(clientCounts[len(clientCounts)-1]))
	return plotLeft + 20 + share*(plotWidth-plotLeft-plotRight-40)
}

func plotY(ms float64) float64 {
	share := math.Log(min(max(ms, plotLeastMS), plotMostMS)/plotLeastMS) / math.Log(plotMostMS/plotLeastMS)
	return plotHeight - plotBottom - share*(plotHeight-plotTop-plotBottom)
}
