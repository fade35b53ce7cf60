package bench

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// curveMethods are the methods whose curves in charts of time have a colour and a name. The curves
// of patches from image to image coincide, so one stands for all. Other methods have faint curves,
// whose names only a pointer shows.
var curveMethods = []struct{ id, name string }{
	{"curl", "whole image"},
	{"zsync-image", "zsync"},
	{"casync-image", "casync"},
	{"rsync-image", "rsync"},
	{"desync-image", "desync"},
	{"zstd-image", "zstd, image"},
	{"ostree", "OSTree"},
	{"ostree-offline", "OSTree, delta"},
	{"zstd-tar", "zstd, tar"},
	{"xdelta3-tar", "xdelta3, tar"},
	{"deltaup", "deltaup"},
}

// colour is the CSS class of a method: the tool's colour, and dashes when the result is no image.
func colour(id string) string {
	tool, of, _ := strings.Cut(id, "-")
	if of == "tar" || tool == "ostree" {
		return "c-" + tool + " dashed"
	}
	return "c-" + tool
}

// timeCurves is a chart of time against x, a property of lines.
func (r *Report) timeCurves(label, xTitle string, along []Line, x func(Line) float64,
	xMarks []float64, xName func(float64) string, weak bool) template.HTML {
	c := lineChart{
		label: label, x: xTitle, y: "time for the update", xMarks: xMarks, yMarks: secondMarks,
		xName: xName, yName: tickSeconds, fine: fineSecondMarks,
	}
	for _, m := range r.curves() {
		s := series{name: m.name, class: colour(m.id), title: m.title}
		if m.name == "" {
			s.class = "faint"
		}
		for _, line := range along {
			if p := r.point(m.id, line, weak, false); p != nil {
				s.points = append(s.points, [2]float64{x(line), p.Seconds})
				s.notes = append(s.notes, p.Route)
			}
			if p := r.point(m.id, line, weak, true); p != nil && m.name != "" {
				s.dots = append(s.dots, [2]float64{x(line), p.Seconds})
				s.dotTitles = append(s.dotTitles,
					fmt.Sprintf("%s, %v: %s measured", m.name, line, secondsName(p.Seconds)))
			}
		}
		if len(s.points) > 0 {
			c.series = append(c.series, s)
		}
	}
	if len(c.series) == 0 {
		return ""
	}
	return template.HTML(c.svg())
}

// methodCurve is the curve of a method: its name beside the curve, or "", and its text for a
// pointer.
type methodCurve struct{ id, name, title string }

// curves are the curves of the charts of time, from back to front.
func (r *Report) curves() []methodCurve {
	var faint, named []methodCurve
	for _, m := range r.Methods {
		if !ours(m.ID) &&
			!slices.ContainsFunc(curveMethods,
				func(c struct{ id, name string }) bool { return c.id == m.ID }) {
			faint = append(faint, methodCurve{m.ID, "", m.Name})
		}
	}
	for _, c := range curveMethods {
		if m := r.method(c.id); m != nil {
			named = append(named, methodCurve{c.id, c.name, m.Name})
		}
	}
	return append(faint, named...)
}

// crossover is the chart of time against bandwidth.
func (r *Report) crossover(weak bool) template.HTML {
	return r.timeCurves(
		"Time for the update against bandwidth, a line for each tool",
		"bandwidth, with a round trip of "+milliseconds(curveRTT),
		curveLines(),
		func(l Line) float64 { return l.Rate },
		rateMarks,
		rateName,
		weak,
	)
}

// roundTrips is the chart of time against the round trip.
func (r *Report) roundTrips() template.HTML {
	marks := []float64{5, 20, 50, 100, 200, 600}
	return r.timeCurves(
		"Time for the update against the round trip, a line for each tool",
		"round trip, at "+rateName(roundRate),
		roundLines(),
		func(l Line) float64 { return float64(l.RTT) / float64(time.Millisecond) },
		marks,
		func(ms float64) string { return fmt.Sprintf("%g ms", ms) },
		false,
	)
}

// bars draws a row for each method, the smallest sum first.
func (r *Report) bars(label string, classes []string, parts func(*Result) []float64,
	value func(float64) string) template.HTML {
	c := barChart{label: label, classes: classes}
	for i := range r.Methods {
		m := &r.Methods[i]
		b := bar{name: m.Name, mark: ours(m.ID), parts: parts(m)}
		if b.parts == nil {
			continue
		}
		b.value = value(b.sum())
		b.title = b.name + ": " + b.value
		if len(b.parts) > 1 {
			b.title += fmt.Sprintf(" (%s to download, %s to rebuild)", value(b.parts[0]),
				value(b.parts[1]))
		}
		c.bars = append(c.bars, b)
	}
	slices.SortStableFunc(c.bars, func(a, b bar) int { return cmp.Compare(a.sum(), b.sum()) })
	return template.HTML(c.svg())
}

// ours tells whether a method is one of deltaup's.
func ours(id string) bool { return id == "deltaup" || strings.HasPrefix(id, "deltaup-") }

func (r *Report) byteBars() template.HTML {
	return r.bars("Bytes sent by the server, a bar for each way", []string{"plain"},
		func(m *Result) []float64 { return []float64{m.Sent.Median} }, bytesName)
}

func (r *Report) memoryBars() template.HTML {
	return r.bars("Peak memory on the target, a bar for each way", []string{"plain"},
		func(m *Result) []float64 { return []float64{m.Memory.Median} }, memoryName)
}

// timeBars is the chart of download and rebuild times on a line, stacked.
func (r *Report) timeBars(line Line, weak bool) template.HTML {
	return r.bars(
		"Time for the update, download and rebuild stacked, a bar for each way",
		[]string{"download", "rebuild"},
		func(m *Result) []float64 {
			p := r.point(m.ID, line, weak, false)
			if p == nil {
				return nil
			}
			return []float64{p.Download, p.Seconds - p.Download}
		},
		secondsName,
	)
}
