package bench

import (
	"fmt"
	"strings"
)

// Standing compares deltaup with the other tools in one measure.
type Standing struct {
	Measure string
	Ours    string // deltaup's figure and route
	Image   string // the best other tool whose result is the image
	Any     string // the best other tool, whatever its result
	Ahead   bool   // deltaup is better than every other tool
	Ratio   string // the best other tool's figure divided by deltaup's
}

// measure is a figure, of which less is better.
type measure struct {
	name  string
	unit  func(float64) string
	value func(*Result) float64
}

func (r *Report) measures() []measure {
	on := func(line Line, weak bool) func(*Result) float64 {
		return func(m *Result) float64 {
			if p := r.point(m.ID, line, weak, false); p != nil {
				return p.Seconds
			}
			return 0
		}
	}
	lte, thin := Line{Rate: 10e6, RTT: curveRTT}, Line{Rate: 1e6, RTT: curveRTT}
	fast := Line{Rate: 1e9, RTT: curveRTT}
	return []measure{
		{"bytes sent by the server", bytesName, func(m *Result) float64 { return m.Sent.Median }},
		{"time at " + thin.String(), secondsName, on(thin, false)},
		{"time at " + lte.String(), secondsName, on(lte, false)},
		{"time at " + fast.String(), secondsName, on(fast, false)},
		{"time at " + lte.String() + ", weak CPU", secondsName, on(lte, true)},
		{"CPU time on the target", secondsName, func(m *Result) float64 { return m.CPU.Median }},
		{
			"peak memory on the target",
			memoryName,
			func(m *Result) float64 { return m.Memory.Median },
		},
		{
			"CPU time of the publisher",
			secondsName,
			func(m *Result) float64 { return m.Publish.CPU.Seconds() },
		},
		{"stored on the server", bytesName, func(m *Result) float64 { return float64(m.Storage) }},
	}
}

// Standings compares deltaup with its default settings with the best of the others, in each
// measure.
func (r *Report) Standings() []Standing {
	own := r.method("deltaup")
	if own == nil {
		return nil
	}
	var all []Standing
	for _, m := range r.measures() {
		ours := m.value(own)
		image := r.best(m, func(p *Result) bool { return p.Of == "image" && !r.baseline(m, p) })
		other := r.best(m, func(p *Result) bool { return !r.baseline(m, p) })
		if other == nil {
			continue
		}
		tell := func(p *Result) string {
			if p == nil {
				return ""
			}
			return fmt.Sprintf("%s (%s)", m.unit(m.value(p)), p.Name)
		}
		s := Standing{
			Measure: m.name,
			Ours:    m.unit(ours),
			Image:   tell(image),
			Any:     tell(other),
			Ahead:   ours < m.value(other),
		}
		if ours > 0 {
			s.Ratio = fmt.Sprintf("%.2g", m.value(other)/ours)
		}
		all = append(all, s)
	}
	return all
}

// baseline tells whether m measures work of the publisher and p needs none.
func (r *Report) baseline(m measure, p *Result) bool {
	return strings.Contains(m.name, "publisher") && p.Publish.CPU == 0
}

// best gives the other tool with the least of a measure, or nil when there is none.
func (r *Report) best(m measure, of func(*Result) bool) *Result {
	var best *Result
	for i := range r.Methods {
		p := &r.Methods[i]
		if !ours(p.ID) && of(p) && (best == nil || m.value(p) < m.value(best)) {
			best = p
		}
	}
	return best
}

// quickest says, in a sentence, which tool is quickest at which bandwidths. deltaup's routes count
// as one tool.
func (r *Report) quickest(weak, imageOnly bool) string {
	type stretch struct {
		name     string
		from, to float64
	}
	var found []stretch
	for _, rate := range curveRates {
		name, least := "", 0.0
		for _, m := range r.Methods {
			if ours(m.ID) && m.Shared != "" || imageOnly && m.Of != "image" {
				continue
			}
			p := r.point(m.ID, Line{Rate: rate, RTT: curveRTT}, weak, false)
			if p != nil && (name == "" || p.Seconds < least) {
				name, least = m.Name, p.Seconds
			}
		}
		if n := len(found); n > 0 && found[n-1].name == name {
			found[n-1].to = rate
		} else if name != "" {
			found = append(found, stretch{name, rate, rate})
		}
	}
	var parts []string
	for _, s := range found {
		where := "at " + rateName(s.from)
		if s.to != s.from {
			where = "from " + rateName(s.from) + " to " + rateName(s.to)
		}
		parts = append(parts, s.name+" "+where)
	}
	return strings.Join(parts, "; ")
}
