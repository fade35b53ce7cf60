package main

import (
	"fmt"
	"math"
	"strings"
)

// panel is the picture of one boot.
type panel struct {
	way  string
	boot boot
}

// Sizes in a picture, in its own units.
const (
	width      = 960.0
	left       = 64.0
	right      = 20.0
	top        = 48.0
	plotHeight = 120.0
	panelSpace = 34.0 // room above a plot for its title
	bottom     = 40.0
	leastMark  = 1.5 // least height of a request's mark
)

// draw writes a picture of boots from one disk, one above the other with common axes: time to the
// right, offset upward. The height of a request's mark is the request's length.
func draw(svg *strings.Builder, disk string, panels []panel) {
	var seconds float64
	var size int64 = 1
	for _, p := range panels {
		seconds = max(seconds, p.boot.seconds)
		for _, r := range p.boot.issued {
			size = max(size, r.offset+r.length)
		}
	}
	height := top + float64(len(panels))*(plotHeight+panelSpace) + bottom
	fmt.Fprintf(
		svg,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="13" fill="#333">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%g" y="26" font-size="17">Where a boot reads: offset on the disk over time, disk %s</text>
`,
		width,
		height,
		left,
		disk,
	)
	x := func(at float64) float64 { return left + at/seconds*(width-left-right) }
	for i, p := range panels {
		base := top + float64(i+1)*(plotHeight+panelSpace) // y of offset 0
		y := func(offset int64) float64 { return base - float64(offset)/float64(size)*plotHeight }
		b := &p.boot
		fmt.Fprintf(
			svg,
			`<text x="%g" y="%g"><tspan font-weight="bold">%s</tspan>: %d requests, %.1f MB, %d seeks, complete after %.1f s</text>
<rect x="%g" y="%g" width="%.1f" height="%g" fill="#f4f6f8"/>
<text x="%g" y="%g" text-anchor="end">%.0f MB</text><text x="%g" y="%g" text-anchor="end">0</text>
<path stroke="#0072b2" stroke-width="2" d="`,
			left,
			base-plotHeight-8,
			title(p.way),
			b.requests,
			float64(b.bytes)/1e6,
			b.seeks,
			b.seconds,
			left,
			base-plotHeight,
			x(b.seconds)-left,
			plotHeight,
			left-6,
			base-plotHeight+10,
			float64(size)/1e6,
			left-6,
			base,
		)
		for _, r := range b.issued {
			high := max(float64(r.length)/float64(size)*plotHeight, leastMark)
			fmt.Fprintf(svg, "M%.1f %.1fv-%.1f", x(r.at), min(y(r.offset), base), high)
		}
		svg.WriteString("\"/>\n")
	}
	base := height - bottom
	step := math.Pow(10, math.Floor(math.Log10(seconds)))
	if seconds/step < 4 {
		step /= 2
	}
	for at := 0.0; at <= seconds; at += step {
		fmt.Fprintf(
			svg,
			"<path stroke=\"#888\" d=\"M%.1f %gv5\"/><text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%g s</text>\n",
			x(at),
			base,
			x(at),
			base+20,
			at,
		)
	}
	svg.WriteString("</svg>\n")
}
