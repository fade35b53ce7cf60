package bench

import (
	"fmt"
	"strings"
	"time"
)

// page is the data of the templates of Markdown and HTML.
type page struct {
	R                                                    *Report
	When                                                 string
	About                                                string
	CurveRTT                                             string
	PlanLine                                             string
	Verdict                                              string
	Peers                                                []peerHead
	Standings                                            []Standing
	Lines                                                []NamedLine
	LineRows                                             []lineRow
	Measured                                             []measuredRow
	Scale                                                *Scale // nil: none
	AboutScale                                           string
	SizeGrowth, FileGrowth, ChangeGrowth, ReleaseGrowth  []string
	How                                                  []string
	Quickest, QuickestAny, QuickestWeak, QuickestWeakAny string
}

// RequestsText writes the number of requests, or a dash without one.
func (r Result) RequestsText() string {
	if r.Requests.Max == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", r.Requests.Median)
}

// peerHead is the head of a peer's column.
type peerHead struct{ Name, Of string }

func (r *Report) peerHeads() []peerHead {
	var heads []peerHead
	for _, p := range r.peers() {
		heads = append(heads, peerHead{peerName(p.ID), p.Of})
	}
	return heads
}

// lineRow has a method's times on the named lines.
type lineRow struct {
	Name  string
	Ours  bool
	Cells []lineCell
}

type lineCell struct {
	Text string
	Best bool // the best of all methods
}

// measuredRow compares a time measured on a line with the computed one.
type measuredRow struct {
	Name, Line, Measured, Computed, Ratio string
}

func (r *Report) page() *page {
	return &page{
		R: r, When: r.Date.Format("2 January 2006"), About: r.about(), CurveRTT: milliseconds(curveRTT), PlanLine: planLine.String(),
		Verdict: r.verdict(), Peers: r.peerHeads(), Standings: r.Standings(), Lines: lines, LineRows: r.lineRows(), Measured: r.measuredRows(), Scale: r.Scale, AboutScale: r.Scale.about(),
		SizeGrowth: r.Scale.sizeGrowth(), FileGrowth: r.Scale.fileGrowth(), ChangeGrowth: r.Scale.changeGrowth(), ReleaseGrowth: r.Scale.releaseGrowth(), How: r.how(),
		Quickest: r.quickest(false, true), QuickestAny: r.quickest(false, false),
		QuickestWeak: r.quickest(true, true), QuickestWeakAny: r.quickest(true, false),
	}
}

// about describes the subject and the machine in two sentences.
func (r *Report) about() string {
	s, m := &r.Subject, &r.Machine
	quick := ""
	if r.Quick {
		quick = " This was a quick run: one run for each figure, slow peers left out."
	}
	return fmt.Sprintf(
		"Two real trees with %d and %d entries, boot/ left out: images of %s and %s (level %s), tars of %s and %s. "+
			"Measured on %s, %d cores, %s of memory, %s, kernel %s, scratch on %s, in %s.%s",
		s.Entries[0],
		s.Entries[1],
		bytesName(float64(s.ImageSize[0])),
		bytesName(float64(s.ImageSize[1])),
		s.Level,
		bytesName(float64(s.TarSize[0])),
		bytesName(float64(s.TarSize[1])),
		m.CPU,
		m.Cores,
		memoryName(float64(m.Memory)),
		m.System,
		m.Kernel,
		m.Disk,
		secondsName(r.Took.Seconds()),
		quick,
	)
}

// how says how the figures were measured.
func (r *Report) how() []string {
	shaping := "Lines: " + r.Shaping + "."
	weak := fmt.Sprintf("The weak CPU is %.0f %% of one core (%s).", 100*r.Weak.Share, r.Weak.How)
	if r.Weak.Computed {
		weak += fmt.Sprintf(" Its times are computed: the time, and the CPU time %g times more.",
			1/r.Weak.Share-1)
	}
	var checks []string
	for _, c := range r.LineChecks {
		checks = append(
			checks,
			fmt.Sprintf(
				"%v: %s, %s",
				c.Line,
				trimmed(milliseconds(c.RTT.Round(100*time.Microsecond))),
				rateName(c.Rate),
			),
		)
	}
	if len(checks) > 0 {
		shaping += " What curl saw on those that updates were run on, a round trip on an open connection and the rate of a file’s bytes: " + strings.Join(
			checks,
			"; ",
		) + "."
	}
	probe := "what a round trip of 400 ms (100 ms with more than 12 requests, 20 ms with more than 60, 5 ms with more than 500) adds to the time."
	if r.Quick {
		probe = "what a round trip of 100 ms (20 ms with more than 60 requests, 5 ms with more than 500) adds to the time."
	}
	route := "Which route deltaup takes on a line is what deltaup plan says, asked for that line on that CPU."
	if r.Quick {
		route = "Which route deltaup takes on a line is what deltaup plan says, asked for some of the lines on this machine's CPU."
	}
	stages := make([]string, len(r.Stages))
	for i, s := range r.Stages {
		stages[i] = s.Name + " " + secondsName(s.Took.Seconds())
	}
	return []string{
		"Every result was compared with what was wanted by its SHA-256; OSTree's by its commit and fsck.",
		"Bytes are TCP's payload at the server's end of the line, HTTP's headers included, in front of " + r.Server + ". Requests are those of HTTP; rsync has none.",
		"Ways that end in a tar or a tree leave the target without an image: to boot from one it would still have to make it, or run from a writable tree. They are dashed in the charts.",
		"Peers without a patch made ahead (casync, desync, zsync, rsync, OSTree without a delta) serve any old release; patches serve the one that they were made from.",
		"Time on the target is that of its processes one after another, the old release in the page cache. Memory is the largest process's resident peak.",
		"The publisher's figures are of the new release alone, with the old one there. They are of one run: deltaup's has the machine for itself, the others run two at a time, so that only their CPU time compares. Images were made before: " +
			secondsName(r.Subject.Mkimage[1].CPU.Seconds()) + " of CPU time, on nobody's bill.",
		"What the server keeps is all that the way needs there: for deltaup both releases, with finished images and packs; for patches the patch alone.",
		shaping,
		"Round trips one after another are measured: " + probe,
		"Deltaup's mirror is not signed, as nobody's files are here: signed metadata would add some kB.",
		route,
		weak,
		"Where the run's time went: " + strings.Join(stages, ", ") + ".",
	}
}

// units are the functions that write figures, by their names in templates.
var units = map[string]func(float64) string{
	"bytes":   bytesName,
	"memory":  memoryName,
	"seconds": secondsName,
}

// Text writes the median, with the extremes when runs differ.
func (v Range) Text(unit string) string {
	name := units[unit]
	median, least, most := name(v.Median), name(v.Min), name(v.Max)
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, least, most)
}

func (r *Report) lineRows() []lineRow {
	var rows []lineRow
	best := map[Line]float64{}
	for _, l := range lines {
		for _, m := range r.Methods {
			if p := r.point(m.ID, l.Line, false, false); p != nil &&
				(best[l.Line] == 0 || p.Seconds < best[l.Line]) {
				best[l.Line] = p.Seconds
			}
		}
	}
	for _, m := range r.Methods {
		row := lineRow{Name: m.Name, Ours: ours(m.ID)}
		for _, l := range lines {
			p := r.point(m.ID, l.Line, false, false)
			if p == nil {
				row.Cells = append(row.Cells, lineCell{})
				continue
			}
			text := secondsName(p.Seconds)
			if p.Route != "" {
				text += " " + p.Route
			}
			row.Cells = append(row.Cells, lineCell{text, p.Seconds == best[l.Line]})
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *Report) measuredRows() []measuredRow {
	var rows []measuredRow
	for _, p := range r.Points {
		m := r.method(p.Method)
		if !p.Measured || m == nil {
			continue
		}
		row := measuredRow{Name: m.Name, Line: p.Line.String(), Measured: secondsName(p.Seconds)}
		if p.Route != "" {
			row.Name += " (" + p.Route + ")"
		}
		if c := r.point(p.Method, p.Line, false, false); c != nil {
			row.Computed = secondsName(c.Seconds)
			row.Ratio = digits(p.Seconds / c.Seconds)
		}
		rows = append(rows, row)
	}
	return rows
}
