package main

import (
	"fmt"
	"io"
	"slices"
)

// row is a row of the table: medians of several boots.
type row struct {
	Disk  string `json:"disk"`
	Way   string `json:"way"`
	Boots int    `json:"boots"`
	// from the kernel's start to boot-complete.target, by the guest's clock
	Seconds float64 `json:"seconds"`
	Fastest float64 `json:"fastest"` // the least of Seconds
	Slowest float64 `json:"slowest"` //
	// seconds more than the same image takes from a disk without delay
	Added    *float64 `json:"added,omitempty"`
	Requests float64  `json:"requests"` // reads that the block layer sent to the disk
	Bytes    float64  `json:"bytes"`    // bytes of these reads
	// reads that do not begin where the read before ended
	Seeks float64 `json:"seeks"`
}

// summarize makes the row of a subject.
func summarize(s subject, boots map[subject][]boot) row {
	b := boots[s]
	seconds := sorted(b, func(b boot) float64 { return b.seconds })
	r := row{
		Disk: s.disk, Way: s.way, Boots: len(b), Seconds: median(seconds), Fastest: seconds[0], Slowest: seconds[len(seconds)-1],
		Requests: median(sorted(b, func(b boot) float64 { return float64(b.requests) })),
		Bytes:    median(sorted(b, func(b boot) float64 { return float64(b.bytes) })),
		Seeks:    median(sorted(b, func(b boot) float64 { return float64(b.seeks) })),
	}
	if free := boots[subject{s.way, "free"}]; s.disk != "free" && free != nil {
		added := r.Seconds - median(sorted(free, func(b boot) float64 { return b.seconds }))
		r.Added = &added
	}
	return r
}

func sorted(boots []boot, value func(boot) float64) []float64 {
	var values []float64
	for _, b := range boots {
		values = append(values, value(b))
	}
	slices.Sort(values)
	return values
}

// median gives the middle of sorted values, or the mean of the two in the middle.
func median(values []float64) float64 {
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// wanted is the share of the requests and added seconds of path order that trace order with
// prefetch may take.
const wanted = 1.0 / 3

// writePage writes the table and a conclusion.
func writePage(w io.Writer, rows []row) {
	fmt.Fprint(w, `# A boot from slow disks

Made by `+"`make bench-boot`"+`. Medians; "added" is the seconds that the disk adds to the boot of the same image from a free one.

| disk | way | boots | seconds | from – to | added | read requests | MB | kB each | seeks |
|---|---|---|---|---|---|---|---|---|---|
`)
	for _, r := range rows {
		added := "–"
		if r.Added != nil {
			added = fmt.Sprintf("%.1f", *r.Added)
		}
		fmt.Fprintf(
			w,
			"| %s | %s | %d | %.1f | %.1f – %.1f | %s | %.0f | %.1f | %.0f | %.0f |\n",
			r.Disk,
			title(r.Way),
			r.Boots,
			r.Seconds,
			r.Fastest,
			r.Slowest,
			added,
			r.Requests,
			r.Bytes/1e6,
			r.Bytes/1e3/max(r.Requests, 1),
			r.Seeks,
		)
	}
	fmt.Fprintln(w)
	for _, disk := range disks {
		writeShare(w, disk, find(rows, disk, "path"), find(rows, disk, "prefetch"))
	}
	fmt.Fprintln(w)
	for _, disk := range disks {
		if find(rows, disk, "path") != nil {
			fmt.Fprintf(w, "![Offsets on the disk over time, %s](%s.svg)\n", disk, disk)
		}
	}
}

// writeShare compares trace order with prefetch with path order.
func writeShare(w io.Writer, disk string, path, prefetch *row) {
	if path == nil || prefetch == nil {
		return
	}
	fmt.Fprintf(w, "- %s: trace order with prefetch takes %.1f %% of path order's read requests",
		disk, 100*prefetch.Requests/path.Requests)
	if path.Added != nil && prefetch.Added != nil && *path.Added > 0 {
		fmt.Fprintf(w, ", and the disk adds %.0f %% of the seconds",
			100**prefetch.Added / *path.Added)
	}
	fmt.Fprintf(w, " (wanted: at most %.0f %%).\n", 100*wanted)
}

func find(rows []row, disk, way string) *row {
	i := slices.IndexFunc(rows, func(r row) bool { return r.Disk == disk && r.Way == way })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

func title(way string) string {
	if t, ok := titles[way]; ok {
		return t
	}
	return way
}
