package trace

import (
	"cmp"
	"slices"
	"time"
)

// Merge joins traces of several boots or machines. It drops files that fewer than the share
// minShare of the traces, 0 to 1, have. It orders the others by the median of their ranks in those
// traces that have them. A median ignores one boot that was late with something, and ranks, unlike
// times, compare slow machines with fast ones.
//
// First of a file is the median too, raised where the order demands it. Ranges are the union, and
// Lost is the sum.
func Merge(traces []*Trace, minShare float64) *Trace {
	seen := make(map[string]*sightings)
	var order []*sightings
	merged := &Trace{}
	for _, t := range traces {
		merged.Lost += t.Lost
		for rank, f := range t.Files {
			s := seen[f.Path]
			if s == nil {
				s = &sightings{path: f.Path}
				seen[f.Path] = s
				order = append(order, s)
			}
			s.ranks = append(s.ranks, float64(rank))
			s.times = append(s.times, f.First)
			s.ranges = append(s.ranges, f.ranges...)
		}
	}
	order = slices.DeleteFunc(order, func(s *sightings) bool {
		return float64(len(s.ranks)) < minShare*float64(len(traces))
	})
	for _, s := range order {
		s.rank = median(s.ranks)
	}
	slices.SortStableFunc(order, func(a, b *sightings) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.path, b.path))
	})
	var latest time.Duration
	for _, s := range order {
		latest = max(latest, median(s.times))
		merged.Files = append(merged.Files,
			File{Path: s.path, First: latest, ranges: joinRanges(s.ranges)})
	}
	return merged
}

// sightings is what several traces say about one file.
type sightings struct {
	path   string
	ranks  []float64
	times  []time.Duration
	ranges []byteRange
	rank   float64 // median of ranks
}

// median gives the middle value, or the mean of the two in the middle. It sorts values.
func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
