package bench

import (
	"slices"
	"time"
)

// Report is everything that a run finds out. results.json holds it.
type Report struct {
	Format  int           `json:"format"` // 1
	Date    time.Time     `json:"date"`
	Took    time.Duration `json:"took_ns"`
	Quick   bool          `json:"quick"`
	Runs    int           `json:"runs"` // runs of each method on the loopback
	Machine Machine       `json:"machine"`
	Server  string        `json:"server"`
	Shaping string        `json:"shaping"` // how the lines were made
	Weak    Weak          `json:"weak_cpu"`
	Subject Subject       `json:"subject"`
	Methods []Result      `json:"methods"` // deltaup's methods first
	Skipped []Skipped     `json:"skipped"`
	Points  []Point       `json:"points"` // times on lines, measured and computed
	Stages  []Stage       `json:"stages"` // how long the parts of the run took

	LineChecks []LineCheck `json:"line_checks"` // measurements of the real lines

	// from other runs, in other files; nil: none
	Scale *Scale `json:"-"`
	Whole *Whole `json:"-"`
}

// Weak describes the emulated weak CPU.
type Weak struct {
	Share float64 `json:"share"` // of one core
	How   string  `json:"how"`
	// Computed is set when no control group could be made. Times are then computed from those of
	// one core, with the CPU time divided by Share.
	Computed bool `json:"computed"`
}

// Skipped is a method that did not run, and why.
type Skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Stage is a part of the run.
type Stage struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
}

// Result has a method's figures on the loopback, without a shaped line.
type Result struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Of       string `json:"of"` // image, tar or tree
	Settings string `json:"settings"`
	Version  string `json:"version"`

	Publish Usage  `json:"publish"`           // of the new release
	Shared  string `json:"shared,omitempty"`  // id of the method whose preparation it uses
	Storage int64  `json:"server_bytes"`      // bytes that the server keeps
	Route   string `json:"route,omitempty"`   // deltaup's route on the loopback
	Failure string `json:"failure,omitempty"` // why there are no figures

	Sent     Range `json:"sent_bytes"`     // TCP payload that the server sent, with HTTP headers
	Received Range `json:"received_bytes"` // TCP payload that the server received
	Requests Range `json:"requests"`       // HTTP requests; 0 for rsync
	Wall     Range `json:"wall_seconds"`
	CPU      Range `json:"cpu_seconds"`
	Memory   Range `json:"peak_bytes"` // of the largest process on the target

	// round trips one after another: the added time divided by an added round trip
	Rounds   float64 `json:"round_trips"`
	WeakWall float64 `json:"weak_wall_seconds"` // on the weak CPU; 0: did not run
}

// Range is the median of some runs and their extremes.
type Range struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// rangeOf gives the range of v, which it sorts.
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
	Measured bool    `json:"measured"` // measured on a real line, else computed
	Seconds  float64 `json:"seconds"`
	// the part of a computed time that the line takes
	Download float64 `json:"download_seconds,omitempty"`
	Route    string  `json:"route,omitempty"` // the route of deltaup's planner
}

// SizeStep has deltaup's figures for an update from one image to another, which is larger, has more
// files or differs in more of them than in the step before.
type SizeStep struct {
	Image    int64 `json:"image_bytes"`
	Files    int64 `json:"files"`         // regular files of the second release
	Changed  int64 `json:"changed_files"` // of them, from the first release to the second
	Computed bool  `json:"computed"`      // from the two largest measured steps
	Mirror   int64 `json:"mirror_bytes"`
	Mkimage  Usage `json:"mkimage"`    // of the second release
	Publish  Usage `json:"publish"`    // of the second release
	First    Usage `json:"first_plan"` // a plan that reads the old image
	Plan     Usage `json:"plan"`       // a plan with the kept recipe, like the pull
	Pull     Usage `json:"pull"`
	Sent     int64 `json:"sent_bytes"`
	Requests int64 `json:"requests"`
	Cut      Cut   `json:"cut"`
}

// Cut is a pull without a seed that is killed when it has fetched half of its bytes, and the pull
// after it.
type Cut struct {
	Whole   int64 `json:"bytes"`         // that a pull fetches when nothing cuts it off
	Fetched int64 `json:"fetched_bytes"` // until the kill
	Left    int64 `json:"left_bytes"`    // that the second pull fetches
	Again   Usage `json:"again"`         // of the second pull until its first byte of data
}

// ReleaseStep has deltaup's figures for a number of releases on the mirror.
type ReleaseStep struct {
	Releases int    `json:"releases"`
	Image    int64  `json:"image_bytes"`
	Mirror   int64  `json:"mirror_bytes"`
	Publish  Usage  `json:"publish"` // of the last release
	Next     Update `json:"next"`    // from the release before
	First    Update `json:"first"`   // from the first release
}

// Update has the figures of one pull.
type Update struct {
	Usage
	Sent     int64  `json:"sent_bytes"`
	Requests int64  `json:"requests"`
	Route    string `json:"route"`
}

// method gives the result of a method, or nil when the method did not run or failed.
func (r *Report) method(id string) *Result {
	for i := range r.Methods {
		if m := &r.Methods[i]; m.ID == id && m.Failure == "" {
			return m
		}
	}
	return nil
}

// point gives a computed or measured time, or nil when there is none.
func (r *Report) point(method string, line Line, weak, measured bool) *Point {
	for i := range r.Points {
		p := &r.Points[i]
		if p.Method == method && p.Line == line && p.Weak == weak && p.Measured == measured {
			return p
		}
	}
	return nil
}

// Ours tells whether the method is one of deltaup's.
func (r Result) Ours() bool { return ours(r.ID) }
