package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// realLines are the lines on which updates really run, in order of preference: the first two for
// all tools, the others for deltaup and the peers of the first table.
var realLines = []Line{
	{Rate: 1e9, RTT: 5 * time.Millisecond},
	{Rate: 10e6, RTT: curveRTT},
	{Rate: 1e9, RTT: curveRTT},
	{Rate: 10e6, RTT: curveRTT, Loss: 0.01},
	{Rate: 10e6, RTT: curveRTT, Loss: 0.05},
	{Rate: 10e6, RTT: 600 * time.Millisecond},
	{Rate: 64e3, RTT: 600 * time.Millisecond},
	{Rate: 256e3, RTT: 300 * time.Millisecond},
	{Rate: 1e6, RTT: 150 * time.Millisecond},
	{Rate: 1e6, RTT: 150 * time.Millisecond, Loss: 0.01},
	{Rate: 10e6, RTT: curveRTT, Reorder: 0.01},
	{Rate: 1e6, RTT: curveRTT},
	{Rate: 200e6, RTT: curveRTT},
	{Rate: 1e9, RTT: curveRTT, Loss: 0.01},
}

const (
	// idleShare is the share of an update's time that its work may take when it runs beside others:
	// so little that they hardly slow each other down.
	idleShare = 0.1
	besides   = 6   // how many updates run beside each other
	idlePart  = 0.3 // the share of the budget that such an update may take
)

// longestPoints bound the expected times of the updates that run alone, in seconds: first all short
// ones run, then longer ones as long as the budget lasts.
var longestPoints = []float64{16, 40, 120, 240}

// trip is an update that shall really run.
type trip struct {
	m        *method
	line     Line
	expected float64 // seconds
	idle     bool    // it is compared, and mostly waits for the line
}

// runLines runs updates on real lines: those that mostly wait beside each other, then the others
// one by one, the shortest first.
func (s *session) runLines() error {
	if err := s.checkLines(); err != nil {
		s.Log("  what the lines are: %v", err)
		s.report.Skipped = append(s.report.Skipped,
			Skipped{"a look at the lines themselves", err.Error()})
	}
	trips := s.trips()
	if err := s.runIdle(trips); err != nil {
		return err
	}
	least := 0.0
	for _, most := range longestPoints {
		for _, t := range trips {
			if t.idle || t.expected <= least || t.expected > most {
				continue
			}
			if err := s.ctx.Err(); err != nil {
				return err
			}
			if t.expected <= s.left().Seconds()-5 {
				s.runTrip(t, s.network)
			}
		}
		least = most
	}
	return nil
}

// trips are the updates on the real lines, line by line, the shortest first on each.
func (s *session) trips() []trip {
	var all []trip
	for i, line := range realLines {
		first := len(all)
		for k := range s.methods {
			m := &s.methods[k]
			compared := s.report.compared(m.id)
			if m.isRoute() || i > 1 && !compared {
				continue
			}
			r := s.report.method(m.id)
			if t := (trip{m: m, line: line, expected: s.report.expect(m.id, line)}); t.expected > 0 {
				t.idle = compared && s.network != nil && r.CPU.Median < idleShare*t.expected
				all = append(all, t)
			}
		}
		slices.SortStableFunc(all[first:],
			func(a, b trip) int { return cmp.Compare(a.expected, b.expected) })
	}
	return all
}

// expect estimates an update's time on a line from the one computed without losses; 0: unknown. A
// line that loses packets has the rate to which Mathis, Semke, Mahdavi and Ott (The Macroscopic
// Behavior of the TCP Congestion Avoidance Algorithm, 1997) found TCP to come down.
func (r *Report) expect(id string, line Line) float64 {
	p := r.point(id, Line{Rate: line.Rate, RTT: line.RTT}, false, false)
	if p == nil {
		return 0
	}
	seconds := p.Seconds
	if line.Loss > 0 {
		rate := min(line.Rate, 1448*8/line.RTT.Seconds()*math.Sqrt(1.5/line.Loss))
		seconds += p.Download * (line.Rate/rate - 1)
	}
	return seconds
}

// runIdle runs the compared updates that mostly wait, some beside each other, each in a namespace
// of its own. Other tools always run alone: casync gave up (ESTALE) with others beside it.
func (s *session) runIdle(trips []trip) error {
	var group errgroup.Group
	group.SetLimit(besides)
	for _, t := range trips {
		if !t.idle || t.expected > idlePart*s.Budget.Seconds() {
			continue
		}
		group.Go(func() error {
			if s.ctx.Err() != nil || t.expected > s.left().Seconds()-5 {
				return nil // the caller looks at the context
			}
			n, err := newNamespace(s.ctx)
			if err != nil {
				return err
			}
			s.runTrip(t, n)
			return n.remove()
		})
	}
	return errors.Join(group.Wait(), s.ctx.Err())
}

// runTrip runs an update in a namespace and notes its time in the report.
func (s *session) runTrip(t trip, n *namespace) {
	limit := min(s.left(), max(s.pullLimit, time.Duration(3*t.expected*float64(time.Second))))
	got, err := s.pullOver(n, t.m, t.line, limit)
	s.noting.Lock()
	defer s.noting.Unlock()
	if err != nil {
		s.Log("  %s: %v", t.m.name, err)
		s.report.Skipped = append(s.report.Skipped,
			Skipped{t.m.name + " at " + t.line.String(), err.Error()})
		return
	}
	s.Log("  %-28s %-22v %6.1f s, expected %6.1f s", t.m.name, t.line, got.Wall.Seconds(), t.expected)
	s.report.Points = append(s.report.Points, Point{
		Method: t.m.id, Line: t.line, Measured: true, Seconds: got.Wall.Seconds(), Route: got.route,
	})
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
	seen := 0
	for _, line := range realLines {
		if line.lossy() { // what curl sees there is chance
			continue
		}
		if seen++; seen > s.checkedLines() {
			break
		}
		// on a slow line the burst must not be most of the file
		size := max(64<<10, int(line.Rate/8*2))
		if err := os.WriteFile(filepath.Join(folder, "file"), bytes.Repeat([]byte("0123456789abcdef"), size/16), 0o644); err != nil {
			return err
		}
		check := LineCheck{Line: line}
		t := &target{
			subject: &s.report.Subject, deltaup: s.deltaup, of: "image", kept: folder,
			network: s.network,
		}
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
