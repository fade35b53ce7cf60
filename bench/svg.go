package bench

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// drawing is an SVG picture, drawn from back to front. Colours and fonts come from the page's style
// sheet, by class, so that one picture serves light and dark pages.
type drawing struct {
	b             strings.Builder
	width, height float64
}

func newDrawing(width, height float64) *drawing { return &drawing{width: width, height: height} }

// picture is the finished picture. label says what it shows, for readers who do not see it.
func (d *drawing) picture(class, label string) string {
	return fmt.Sprintf(`<svg class="%s" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, class,
		d.width, d.height, html.EscapeString(label)) +
		d.b.String() + "</svg>"
}

func (d *drawing) text(x, y float64, class, anchor, s string) {
	fmt.Fprintf(&d.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class,
		anchor, html.EscapeString(s))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2,
		class)
}

// rect draws a bar. title is the text for a pointer over it.
func (d *drawing) rect(x, y, w, h float64, class, title string) {
	fmt.Fprintf(
		&d.b,
		`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="%s"><title>%s</title></rect>`,
		x,
		y,
		max(w, 1),
		h,
		class,
		html.EscapeString(title),
	)
}

func (d *drawing) dot(x, y, r float64, class, title string) {
	fmt.Fprintf(&d.b, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"><title>%s</title></circle>`,
		x, y, r, class, html.EscapeString(title))
}

// path draws a line through points. title is the text for a pointer over it.
func (d *drawing) path(points [][2]float64, class, title string) {
	if len(points) == 0 {
		return
	}
	d.b.WriteString(`<path d="`)
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&d.b, "%s%.1f %.1f", command, p[0], p[1])
	}
	if title == "" {
		fmt.Fprintf(&d.b, `" class="%s"/>`, class)
		return
	}
	fmt.Fprintf(&d.b, `" class="%s"><title>%s</title></path>`, class, html.EscapeString(title))
}

// axis maps values to coordinates of a picture, by their logarithms unless linear is set.
type axis struct {
	min, max float64 // values
	from, to float64 // coordinates
	linear   bool
}

func (a axis) at(v float64) float64 {
	lo, hi := a.min, a.max
	if !a.linear {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(max(v, a.min/10))
	}
	if hi == lo {
		return a.from
	}
	return a.from + (v-lo)/(hi-lo)*(a.to-a.from)
}

// ticks gives those of marks that lie on the axis.
func (a axis) ticks(marks []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(marks),
		func(v float64) bool { return v < a.min*0.999 || v > a.max*1.001 })
}

// spread moves positions apart, as little as necessary, until neighbours are at least gap apart,
// and keeps them between from and to. It returns them in the order of at.
func spread(at []float64, gap, from, to float64) []float64 {
	order := make([]int, len(at))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case at[a] < at[b]:
			return -1
		case at[a] > at[b]:
			return 1
		}
		return 0
	})
	out := slices.Clone(at)
	for range 200 {
		moved := false
		for i := 1; i < len(order); i++ {
			a, b := order[i-1], order[i]
			if lack := gap - (out[b] - out[a]); lack > 0.01 {
				out[a] -= lack / 2
				out[b] += lack / 2
				moved = true
			}
		}
		for _, i := range order {
			out[i] = min(max(out[i], from), to)
		}
		if !moved {
			break
		}
	}
	return out
}
