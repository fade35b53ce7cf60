package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// realLines are the lines on which updates really run, in order of preference.
var realLines = []Line{
	{Rate: 1e9, RTT: 5 * time.Millisecond},
	{Rate: 10e6, RTT: curveRTT},
	{Rate: 200e6, RTT: curveRTT},
	{Rate: 50e6, RTT: curveRTT},
	{Rate: 1e6, RTT: curveRTT},
	{Rate: roundRate, RTT: 400 * time.Millisecond},
	{Rate: 256e3, RTT: 300 * time.Millisecond},
	{Rate: 64e3, RTT: 600 * time.Millisecond},
}

// longestPoints bound the computed times of the updates that really run, in seconds: first all
// short ones run, then longer ones as long as the budget lasts.
var longestPoints = []float64{16, 40, 120, 240}

// runLines runs updates on real lines, the shortest ones first.
func (s *session) runLines() error {
	if err := s.checkLines(); err != nil {
		s.Log("  what the lines are: %v", err)
		s.report.Skipped = append(s.report.Skipped,
			Skipped{"a look at the lines themselves", err.Error()})
	}
	least := 0.0
	for _, most := range longestPoints {
		for _, line := range realLines {
			if err := s.runLine(line, least, most); err != nil {
				return err
			}
		}
		least = most
	}
	return nil
}

// runLine runs the updates on a line whose computed time is more than least and at most most
// seconds.
func (s *session) runLine(line Line, least, most float64) error {
	type update struct {
		m        *method
		expected float64
	}
	var all []update
	for i := range s.methods {
		m := &s.methods[i]
		if p := s.report.point(m.id, line, false, false); p != nil && !m.isRoute() &&
			p.Seconds > least &&
			p.Seconds <= most {
			all = append(all, update{m, p.Seconds})
		}
	}
	slices.SortStableFunc(all, func(a, b update) int { return cmp.Compare(a.expected, b.expected) })
	for _, u := range all {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if u.expected > s.left().Seconds()-5 {
			continue
		}
		got, err := s.pull(u.m, line, false)
		if err != nil {
			s.Log("  %s: %v", u.m.name, err)
			s.report.Skipped = append(s.report.Skipped,
				Skipped{u.m.name + " at " + line.String(), err.Error()})
			continue
		}
		s.Log("  %-28s %-22v %6.1f s, computed %6.1f s", u.m.name, line, got.Wall.Seconds(),
			u.expected)
		s.report.Points = append(
			s.report.Points,
			Point{
				Method:   u.m.id,
				Line:     line,
				Measured: true,
				Seconds:  got.Wall.Seconds(),
				Route:    got.route,
			},
		)
	}
	return nil
}

// isRoute tells whether the method is a single route of deltaup. On real lines the planner's choice
// runs instead.
func (m *method) isRoute() bool { return m.route != "" }

// LineCheck has the measurements of a real line.
type LineCheck struct {
	Line Line          `json:"line"`
	RTT  time.Duration `json:"rtt_ns"`          // time of a request on an open connection
	Rate float64       `json:"bits_per_second"` // rate of the body of a longer answer
}

// checkedLines is how many of the real lines checkLines measures. A quick run gets only to the
// first ones.
func (s *session) checkedLines() int {
	if s.Quick {
		return 2
	}
	return len(realLines)
}

// checkLines measures the real lines with curl: the time of a round trip on an open connection, and
// the rate of a file that takes two seconds, or longer on a slow line.
func (s *session) checkLines() error {
	folder := filepath.Join(s.dir, "pub", "line")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "byte"), []byte{1}, 0o644); err != nil {
		return err
	}
	for _, line := range realLines[:min(len(realLines), s.checkedLines())] {
		// on a slow line the burst must not be most of the file
		size := max(64<<10, int(line.Rate/8*2))
		if err := os.WriteFile(filepath.Join(folder, "file"), bytes.Repeat([]byte("0123456789abcdef"), size/16), 0o644); err != nil {
			return err
		}
		check := LineCheck{Line: line}
		t := &target{subject: &s.report.Subject, deltaup: s.deltaup, of: "image", kept: folder}
		err := s.withTarget(s.ctx, t, line, false, func() (err error) {
			check.RTT, check.Rate, err = t.lookAtLine(s.ctx)
			return err
		}, new(sample))
		if err != nil {
			return fmt.Errorf("%v: %w", line, err)
		}
		s.Log("  %-22v round trip %v, %s", line, check.RTT.Round(100*time.Microsecond),
			rateName(check.Rate))
		s.report.LineChecks = append(s.report.LineChecks, check)
	}
	return nil
}

// lookAtLine measures a line: it asks for a byte twice on one connection, and for a file.
func (t *target) lookAtLine(ctx context.Context) (rtt time.Duration, rate float64, err error) {
	const format = "%{time_pretransfer} %{time_starttransfer} %{time_total} %{size_download}\n"
	out, err := t.output(
		ctx,
		"curl",
		"--silent",
		"--show-error",
		"--fail",
		"--write-out",
		format,
		t.url+"/byte",
		"--output",
		"first",
		t.url+"/byte",
		"--output",
		"again",
		t.url+"/file",
		"--output",
		"file",
	)
	if err != nil {
		return 0, 0, err
	}
	var row [3]struct{ before, first, total, size float64 }
	for i, line := range bytes.Split(bytes.TrimSpace(out), []byte("\n")) {
		if i == len(row) {
			break
		}
		r := &row[i]
		if _, err := fmt.Sscan(string(line), &r.before, &r.first, &r.total, &r.size); err != nil {
			return 0, 0, fmt.Errorf("curl: its output is %.200q: %w", out, err)
		}
	}
	open, file := row[1], row[2]
	if file.total <= file.first {
		return 0, 0, fmt.Errorf("curl: a file took no time: %.200q", out)
	}
	return time.Duration(
		(open.first - open.before) * float64(time.Second),
	), file.size * 8 / (file.total - file.first), nil
}
