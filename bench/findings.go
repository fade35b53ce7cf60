package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Standing compares deltaup with its peers in one measure.
type Standing struct {
	Measure string
	Ours    string   // deltaup's figure
	Peers   []string // those of the peers
	Ahead   bool     // deltaup is better than every peer
	Ratio   string   // deltaup beside the best of the peers: "3 × less"
	Best    string   // that peer
}

// Verdict says Ratio and Best in one.
func (s Standing) Verdict() string {
	if s.Ratio == same {
		return same
	}
	return s.Ratio + " than " + s.Best
}

// measure is a figure, of which less is better; 0 is none, but for a publisher's work.
type measure struct {
	name  string
	unit  func(float64) string
	value func(*Result) float64
}

func (r *Report) measures() []measure {
	sent := func(m *Result) float64 { return m.Sent.Median }
	all := []measure{{"bytes sent by the server", bytesName, sent}}
	for _, l := range lines {
		if l.Name == "EDGE" || l.Name == "DSL" || l.Name == "cable" || l.Name == "data centre" {
			continue // they lie between the others
		}
		for _, loss := range []float64{0, 0.01, 0.05} {
			l.Loss = loss
			all = append(all, r.timeOn(l, false))
		}
		if l.Name == "LTE" {
			l.Loss = 0
			all = append(all, r.timeOn(l, true))
		}
	}
	return append(all, []measure{
		{"CPU time on the target", secondsName, func(m *Result) float64 { return m.CPU.Median }},
		{"peak memory on the target", memoryName, func(m *Result) float64 { return m.Memory.Median }},
		{
			publisherWork, secondsName,
			func(m *Result) float64 { return m.Publish.CPU.Seconds() },
		},
		{"stored on the server", bytesName, func(m *Result) float64 { return float64(m.Storage) }},
	}...)
}

const publisherWork = "CPU time of the publisher"

// timeOn is the time on a line: as it was run for real when deltaup and all peers were, else as it
// was computed. Nobody computes the time on a line that loses packets.
func (r *Report) timeOn(l NamedLine, weak bool) measure {
	measured := !weak
	for _, m := range append(r.peers(), r.method("deltaup")) {
		measured = measured && (m == nil || r.point(m.ID, l.Line, false, true) != nil)
	}
	name := fmt.Sprintf("time, %s: %v", l.Name, l.Line)
	switch {
	case weak:
		name += ", weak CPU"
	case measured || l.lossy():
		measured = true
		name += ", run for real"
	}
	return measure{name, secondsName, func(m *Result) float64 {
		if p := r.point(m.ID, l.Line, weak, measured); p != nil {
			return p.Seconds
		}
		return 0
	}}
}

// peers are the tools that the first table compares with, in every row the same: OSTree by static
// delta, desync, and that binary diff of which a target fetches the fewest bytes.
func (r *Report) peers() []*Result {
	var peers []*Result
	for _, ids := range [][]string{{"ostree-offline", "ostree-delta"}, {"desync-image", "desync-tar"}} {
		if m := cmp.Or(r.method(ids[0]), r.method(ids[1])); m != nil {
			peers = append(peers, m)
		}
	}
	var diff *Result
	for i := range r.Methods {
		m := &r.Methods[i]
		tool, _, _ := strings.Cut(m.ID, "-")
		if m.Failure == "" && slices.Contains(diffs, tool) &&
			(diff == nil || m.Sent.Median < diff.Sent.Median) {
			diff = m
		}
	}
	if diff != nil {
		peers = append(peers, diff)
	}
	return peers
}

// diffs are the tools that make a patch of two files.
var diffs = []string{"zstd", "hdiffz", "xdelta3", "bsdiff", "rdiff"}

// compared tells whether a method is deltaup or one of its peers.
func (r *Report) compared(id string) bool {
	return id == "deltaup" ||
		slices.ContainsFunc(r.peers(), func(p *Result) bool { return p.ID == id })
}

// peerName is the name of a peer in the first table.
func peerName(id string) string {
	tool, of, _ := strings.Cut(id, "-")
	switch {
	case tool == "ostree":
		return "OSTree delta"
	case of == "tar":
		return tool + " of tars"
	}
	return tool
}

// Standings compares deltaup with its default settings with its peers, in each measure that deltaup
// and one of them have.
func (r *Report) Standings() []Standing {
	own, peers := r.method("deltaup"), r.peers()
	if own == nil {
		return nil
	}
	var all []Standing
	for _, m := range r.measures() {
		s := Standing{Measure: m.name, Ours: m.unit(m.value(own))}
		least := math.Inf(1)
		for _, p := range peers {
			v := m.value(p)
			if v == 0 && m.name != publisherWork {
				s.Peers = append(s.Peers, "not run")
				continue
			}
			s.Peers = append(s.Peers, m.unit(v))
			if v < least {
				s.Best, least = peerName(p.ID), v
			}
		}
		if s.Best == "" || m.value(own) == 0 {
			continue
		}
		s.Ahead = m.value(own) < least
		s.Ratio = ratioName(m.value(own), least)
		all = append(all, s)
	}
	return all
}

// verdict sums up what deltaup saves and what it costs, in a sentence.
func (r *Report) verdict() string {
	of := map[string]Standing{}
	for _, s := range r.Standings() {
		of[s.Measure] = s
	}
	bytes, cpu, memory := of["bytes sent by the server"], of["CPU time on the target"], of["peak memory on the target"]
	if bytes.Best == "" {
		return ""
	}
	quick := "is not the quickest way on any line"
	if rate := r.quickestTo(); rate > 0 {
		quick = "is the quickest way up to " + rateName(rate)
	}
	return fmt.Sprintf(
		"Deltaup sends %s for this update, %s, and %s; the target's CPU time is %s, its peak memory %s.",
		bytes.Ours, bytes.Verdict(), quick, cpu.Verdict(), memory.Verdict())
}

// quickestTo is the rate up to which deltaup is the quickest of all ways on this machine's CPU.
func (r *Report) quickestTo() (last float64) {
	for _, rate := range curveRates {
		line := Line{Rate: rate, RTT: curveRTT}
		own := r.point("deltaup", line, false, false)
		for _, m := range r.Methods {
			p := r.point(m.ID, line, false, false)
			if own == nil || p != nil && !ours(m.ID) && p.Seconds < own.Seconds {
				return last
			}
		}
		last = rate
	}
	return last
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
