package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// series is one curve of a chart.
type series struct {
	name   string // short name beside the curve; "": none
	class  string // CSS class: colour, and dashes when the result is no image
	points [][2]float64
	notes  []string // note of each point, drawn where it changes
	title  string   // text for a pointer over the curve; "": none
	dots   [][2]float64
	hollow bool // the points are computed

	dotTitles []string
}

// lineChart is a chart of some series. Its axes are both logarithmic, or both linear from zero.
type lineChart struct {
	label          string    // what it shows
	x, y           string    // what the axes show
	xMarks, yMarks []float64 // of logarithmic axes
	fine           []float64 // marks of y when few of yMarks lie on it
	xName, yName   func(float64) string
	series         []series
	yUnit          func(most float64) float64 // on linear axes: marks are round multiples of it
	// Panel charts are small and linear, without names beside the curves.
	panel bool
}

// layout is the size of a chart for a kind of screen.
type layout struct {
	class         string
	width, height float64
	names         float64 // room for names beside the curves
}

// layouts are for the screens of a desk and of a phone. The style sheet shows one of them.
var layouts = []layout{{"wide", 820, 430, 170}, {"narrow", 372, 400, 106}}

// panels are the layouts of small charts, of which a desk's screen shows two side by side.
var panels = []layout{{"wide", 400, 230, 22}, {"narrow", 372, 220, 22}}

// svg draws the chart for all layouts.
func (c *lineChart) svg() string {
	var b strings.Builder
	sizes := layouts
	if c.panel {
		sizes = panels
	}
	for _, l := range sizes {
		b.WriteString(c.draw(l))
	}
	return b.String()
}

func (c *lineChart) draw(l layout) string {
	d := newDrawing(l.width, l.height)
	x := axis{from: 56, to: l.width - l.names, linear: c.panel}
	y := axis{from: l.height - 44, to: 26, linear: c.panel}
	x.min, x.max = c.bounds(0)
	y.min, y.max = c.bounds(1)
	y.min, y.max = y.min/1.15, y.max*1.15
	if c.panel {
		x.min, y.min = 0, 0
		c.xMarks, c.yMarks = evenMarks(x.max, 1), evenMarks(y.max, c.yUnit(y.max))
	}
	if c.fine != nil && len(y.ticks(c.yMarks)) < 4 {
		c.yMarks = c.fine
	}
	c.grid(d, x, y, l)
	var named []series
	var ends []float64
	for _, s := range c.series {
		if s.name != "" {
			named, ends = append(named, s), append(ends, y.at(s.points[len(s.points)-1][1]))
		}
		var path [][2]float64
		for _, p := range s.points {
			path = append(path, [2]float64{x.at(p[0]), y.at(p[1])})
		}
		d.path(path, "line "+s.class, s.title)
	}
	for _, s := range c.series {
		c.notes(d, x, y, s)
		for i, p := range s.dots {
			class := "dot " + s.class
			if s.hollow {
				class = "dot hollow " + s.class
			}
			d.dot(x.at(p[0]), y.at(p[1]), 4, class, s.dotTitles[i])
		}
	}
	if c.panel {
		c.panelNames(d, x, y, named, ends)
		return d.picture("chart "+l.class, c.label)
	}
	at := spread(ends, 15, y.to, y.from-8) // above the marks of x
	for i, s := range named {
		d.path([][2]float64{{x.to + 2, ends[i]}, {x.to + 12, at[i]}, {x.to + 16, at[i]}},
			"leader "+s.class, "")
		d.text(x.to+19, at[i]+4, "name "+s.class, "start", s.name)
	}
	return d.picture("chart "+l.class, c.label)
}

// panelNames writes the names of a panel's series above their ends.
func (c *lineChart) panelNames(d *drawing, x, y axis, all []series, ends []float64) {
	last := map[string]int{} // a curve that continues as computed has its name at the end of that
	for i, s := range all {
		last[s.name] = i
	}
	var named []series
	var at []float64
	for i, s := range all {
		if last[s.name] == i {
			named, at = append(named, s), append(at, ends[i]-9)
		}
	}
	for i, top := range spread(at, 17, y.to+8, y.from-6) {
		s := named[i]
		d.text(x.at(s.points[len(s.points)-1][0]), top, "name "+s.class, "end", s.name)
	}
}

// bounds are the extremes of one coordinate.
func (c *lineChart) bounds(k int) (lo, hi float64) {
	for _, s := range c.series {
		for _, p := range append(append([][2]float64{}, s.points...), s.dots...) {
			if lo == 0 || p[k] < lo {
				lo = p[k]
			}
			hi = max(hi, p[k])
		}
	}
	return lo, hi
}

func (c *lineChart) grid(d *drawing, x, y axis, l layout) {
	for _, v := range y.ticks(c.yMarks) {
		d.line(x.from, y.at(v), x.to, y.at(v), "grid")
		d.text(x.from-6, y.at(v)+4, "tick", "end", trimmed(c.yName(v)))
	}
	ticks := x.ticks(c.xMarks)
	for i, v := range ticks {
		d.line(x.at(v), y.to, x.at(v), y.from, "grid")
		if l.class == "narrow" && len(ticks) > 4 && i%2 == 1 {
			continue // there is no room for all marks
		}
		anchor := "middle"
		if i == 0 && x.at(v)-x.from < 12 {
			anchor = "start"
		}
		d.text(x.at(v), y.from+17, "tick", anchor, trimmed(c.xName(v)))
	}
	d.line(x.from, y.from, x.to, y.from, "axis")
	d.text(x.from, 14, "title", "start", c.y)
	d.text(x.to, y.from+36, "title", "end", c.x)
}

// notes writes the notes of a series where they change, near the point: where no other note is and
// the fewest curves and dots lie. A note without room is only in the point's title.
func (c *lineChart) notes(d *drawing, x, y axis, s series) {
	var taken []box
	last := ""
	for i, note := range s.notes {
		if note == last || note == "" {
			continue
		}
		last = note
		px, py := x.at(s.points[i][0]), y.at(s.points[i][1])
		d.dot(px, py, 2.5, "turn "+s.class, fmt.Sprintf("%s: %s", s.name, note))
		width := 8 * float64(len(note))
		best, fewest := box{}, math.MaxInt
		for _, dy := range []float64{-18, 6, 20, -32, 34, -46, 48, 62} {
			for _, dx := range []float64{6, -6 - width} {
				b := box{px + dx, py + dy, width, 15}
				inside := b.x > x.from && b.x+b.w < x.to && b.y > y.to-4 && b.y+b.h < y.from
				if !inside || slices.ContainsFunc(taken, b.meets) {
					continue
				}
				if n := c.below(x, y, b); n < fewest {
					best, fewest = b, n
				}
			}
		}
		if fewest < math.MaxInt {
			taken = append(taken, best)
			d.text(best.x, best.y+11, "note "+s.class, "start", note)
		}
	}
}

// below counts the curves and dots that a text in b would lie on.
func (c *lineChart) below(x, y axis, b box) (n int) {
	for _, s := range c.series {
		for i := 1; i < len(s.points); i++ {
			ax, ay := x.at(s.points[i-1][0]), y.at(s.points[i-1][1])
			bx, by := x.at(s.points[i][0]), y.at(s.points[i][1])
			steps := math.Ceil(math.Hypot(bx-ax, by-ay)/4) + 1
			for k := 0.0; k <= steps; k++ {
				if (box{ax + (bx-ax)*k/steps, ay + (by-ay)*k/steps, 1, 1}).meets(b) {
					n++
					break
				}
			}
		}
		for _, p := range s.dots {
			if (box{x.at(p[0]) - 4, y.at(p[1]) - 4, 8, 8}).meets(b) {
				n++
			}
		}
	}
	return n
}

// box is the room that a text takes.
type box struct{ x, y, w, h float64 }

func (b box) meets(o box) bool {
	return b.x < o.x+o.w && o.x < b.x+b.w && b.y < o.y+o.h && o.y < b.y+b.h
}

// evenMarks gives at most six round multiples of a unit, from zero to about most.
func evenMarks(most, unit float64) []float64 {
	most /= unit
	if !(most > 0) || math.IsInf(most, 1) {
		return []float64{0} // nothing was measured
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, finer := range []float64{0.1, 0.2, 0.5, 1, 2} {
		if most/(step*finer) <= 5 {
			step *= finer
			break
		}
	}
	var marks []float64
	for v := 0.0; v <= most; v += step {
		marks = append(marks, v*unit)
	}
	return marks
}
