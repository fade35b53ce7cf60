package suffix

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// pair is an old and a new content.
type pair struct{ old, new []byte }

// hardPairs are contents of about n bytes whose matches are poor, or many and alike.
func hardPairs(n int) map[string]pair {
	r := rand.New(rand.NewPCG(7, 7))
	// Each function gives another content of its kind at each call.
	unit := random(r, 4000, 256)
	repeated := func() (p []byte) { // a unit again and again, each time with one byte changed
		for len(p) < n {
			p = append(p, unit...)
			p[len(p)-1-r.IntN(len(unit))]++
		}
		return p
	}
	runs := func() (p []byte) { // zeros, with something else now and then
		for len(p) < n {
			p = append(append(p, make([]byte, r.IntN(6000))...), byte(1+r.IntN(255)))
		}
		return p
	}
	sparse := func() []byte {
		p := make([]byte, n)
		for i := 0; i < n; i += 50 + r.IntN(100) {
			p[i] = 1
		}
		return p
	}
	blocks := make([][]byte, 64)
	for i := range blocks {
		blocks[i] = random(r, 300+i, 256)
	}
	shuffled := func() (p []byte) {
		for len(p) < n {
			p = append(p, blocks[r.IntN(len(blocks))]...)
		}
		return p
	}
	fibonacci, before := []byte{1}, []byte{0}
	for len(fibonacci) < n {
		fibonacci, before = slices.Concat(fibonacci, before), fibonacci
	}
	return map[string]pair{
		"nothing alike":   {random(r, n, 256), random(r, n, 256)},
		"bits":            {random(r, n, 2), random(r, n, 2)},
		"repeated unit":   {repeated(), repeated()},
		"zeros":           {make([]byte, n), make([]byte, n/2)},
		"runs of zeros":   {runs(), runs()},
		"sparse":          {sparse(), sparse()},
		"shuffled blocks": {shuffled(), shuffled()},
		"periods":         {bytes.Repeat([]byte("abcdefg"), n/7), bytes.Repeat([]byte("abcdefgh"), n/8)},
		"Fibonacci word":  {fibonacci, bytes.Repeat([]byte{1, 0, 1, 0, 1}, n/5)},
	}
}

// TestWorkIsBounded counts the steps that hard pairs take.
func TestWorkIsBounded(t *testing.T) {
	bounded := false
	for name, p := range hardPairs(200 << 10) {
		x := NewIndex(p.old, 0)
		s := x.Search(p.new)
		for _, gain := range []int{ProgramGain, TextGain} {
			patch := s.Diff(gain)
			got, err := Patch(nil, bytes.NewReader(p.old), int64(len(p.old)), patch, int64(len(p.new)))
			if err != nil || !bytes.Equal(got, p.new) {
				t.Errorf("%s: the patch gives other bytes (%v)", name, err)
			}
			// One look-up may exceed the bound.
			if most := len(p.new)*workRate + workAhead + len(p.new)/16 + 24*compareMax; s.work > most {
				t.Errorf("%s: %d steps for %d bytes, at most %d are permitted", name, s.work, len(p.new), most)
			}
			bounded = bounded || s.work > workAhead+len(p.new)*workRate/2
		}
	}
	if !bounded {
		t.Error("no pair is hard enough to come near the bound")
	}
}

// BenchmarkHard makes patches of hard pairs. No pair should take many times longer than another.
func BenchmarkHard(b *testing.B) {
	pairs := hardPairs(1 << 20)
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		b.Run(name, func(b *testing.B) {
			x := NewIndex(pairs[name].old, 0)
			b.SetBytes(int64(len(pairs[name].new)))
			for b.Loop() {
				s := x.Search(pairs[name].new)
				patch := s.Diff(ProgramGain)
				b.ReportMetric(float64(s.work)/float64(len(pairs[name].new)), "steps/byte")
				b.ReportMetric(float64(patch.Len()), "patch-bytes")
			}
		})
	}
}
