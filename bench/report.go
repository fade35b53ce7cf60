package bench

import (
	"slices"
	"time"
)

// Report is everything that a run found out, as results.json holds it.
type Report struct {
	Format  int           `json:"format"` // 1
	Date    time.Time     `json:"date"`
	Took    time.Duration `json:"took_ns"`
	Quick   bool          `json:"quick"`
	Runs    int           `json:"runs"` // of each method on the loopback
	Machine Machine       `json:"machine"`
	Server  string        `json:"server"`
	Shaping string        `json:"shaping"` // how lines were made
	Weak    Weak          `json:"weak_cpu"`
	Subject Subject       `json:"subject"`
	Methods []Result      `json:"methods"` // deltaup's first
	Skipped []Skipped     `json:"skipped"`
	Points  []Point       `json:"points"` // times on lines, measured and computed
	Stages  []Stage       `json:"stages"` // how long the run's parts took

	LineChecks []LineCheck `json:"line_checks"` // what the lines were on which updates were run for real

	Scale *Scale `json:"-"` // of a run of its own, in a file of its own; nil: there was none
}

// Weak is the emulated weak CPU.
type Weak struct {
	Share float64 `json:"share"` // of one core
	How   string  `json:"how"`
	// Computed is set when no control group could be made: times are those of one core, CPU time
	// divided by Share.
	Computed bool `json:"computed"`
}

// Skipped is a method that was not run.
type Skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Stage is a part of the run.
type Stage struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
}

// Result is a method's figures on the loopback, without a line in the way.
type Result struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Of       string `json:"of"` // image, tar or tree
	Settings string `json:"settings"`
	Version  string `json:"version"`

	Publish Usage  `json:"publish"`           // of the new release
	Shared  string `json:"shared,omitempty"`  // id of the method whose publication it uses
	Storage int64  `json:"server_bytes"`      // what the server keeps for it
	Route   string `json:"route,omitempty"`   // deltaup's, on the loopback
	Failure string `json:"failure,omitempty"` // why there are no figures

	Sent     Range `json:"sent_bytes"`     // by the server: TCP's payload, headers of HTTP included
	Received Range `json:"received_bytes"` // by the server
	Requests Range `json:"requests"`       // of HTTP; 0: rsync has none
	Wall     Range `json:"wall_seconds"`
	CPU      Range `json:"cpu_seconds"`
	Memory   Range `json:"peak_bytes"` // of the largest process on the target

	Rounds   float64 `json:"round_trips"`       // one after another: what a longer round trip adds, in round trips
	WeakWall float64 `json:"weak_wall_seconds"` // on the weak CPU; 0: not run
}

// Range is the median of some runs and their extremes.
type Range struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// rangeOf sorts v.
func rangeOf(v []float64) Range {
	if len(v) == 0 {
		return Range{}
	}
	slices.Sort(v)
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (mid + v[len(v)/2-1]) / 2
	}
	return Range{mid, v[0], v[len(v)-1]}
}

// Point is a method's time on a line.
type Point struct {
	Method   string  `json:"method"`
	Line     Line    `json:"line"`
	Weak     bool    `json:"weak_cpu"`
	Measured bool    `json:"measured"` // run for real; else computed
	Seconds  float64 `json:"seconds"`
	Download float64 `json:"download_seconds,omitempty"` // the line's part of a computed time
	Route    string  `json:"route,omitempty"`            // that deltaup's planner takes
}

// SizeStep is deltaup at one image size, with the same change in the tree.
type SizeStep struct {
	Image    int64 `json:"image_bytes"`
	Computed bool  `json:"computed"` // from the two largest sizes that were run
	Mirror   int64 `json:"mirror_bytes"`
	Mkimage  Usage `json:"mkimage"`    // of the second release
	Publish  Usage `json:"publish"`    // of the second release
	First    Usage `json:"first_plan"` // that reads the old image
	Plan     Usage `json:"plan"`       // with its recipe kept, like the pull
	Pull     Usage `json:"pull"`
	Sent     int64 `json:"sent_bytes"`
	Requests int64 `json:"requests"`
}

// ReleaseStep is deltaup with so many releases on the mirror.
type ReleaseStep struct {
	Releases int    `json:"releases"`
	Image    int64  `json:"image_bytes"`
	Mirror   int64  `json:"mirror_bytes"`
	Publish  Usage  `json:"publish"` // of the last one
	Next     Update `json:"next"`    // from the release before
	First    Update `json:"first"`   // from the first release
}

// Update is one pull.
type Update struct {
	Usage
	Sent     int64  `json:"sent_bytes"`
	Requests int64  `json:"requests"`
	Route    string `json:"route"`
}

// method finds a result; nil when the method was not run or failed.
func (r *Report) method(id string) *Result {
	for i := range r.Methods {
		if m := &r.Methods[i]; m.ID == id && m.Failure == "" {
			return m
		}
	}
	return nil
}

// point finds a computed or measured time; nil when there is none.
func (r *Report) point(method string, line Line, weak, measured bool) *Point {
	for i := range r.Points {
		p := &r.Points[i]
		if p.Method == method && p.Line == line && p.Weak == weak && p.Measured == measured {
			return p
		}
	}
	return nil
}

// Ours tells deltaup's own ways.
func (r Result) Ours() bool { return ours(r.ID) }
