package parsestep

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// TestMatches finds the match behind every place, from every hint, as a walk over all matches does.
func TestMatches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	var parts [][]Match
	var all []Match
	reads := 0
	m := NewMatches(func(part int, list []Match) ([]Match, error) {
		reads++
		return append(list, parts[part]...), nil
	})
	at := 0
	for range 3 * keptParts {
		var part []Match
		begin := at
		for range 1 + rnd.IntN(30) {
			at += rnd.IntN(3) * rnd.IntN(5)
			n := 1 + rnd.IntN(9)
			part = append(part, Match{Begin: int32(at), Distance: 1, Size: uint16(n)})
			at += n
		}
		parts, all = append(parts, part), append(all, part...)
		m.AddPart(begin, len(part))
	}
	for i := range all {
		if got := m.match(i); got != all[i] {
			t.Fatalf("match %d is %v, not %v", i, got, all[i])
		}
	}
	if reads != len(parts) {
		t.Errorf("%d parts are read %d times", len(parts), reads)
	}
	want := 0
	for q := range at + 2 {
		for want < len(all) && all[want].end() <= q {
			want++
		}
		for _, hint := range []int{0, max(want-3, 0), want, len(all) / 2, len(all)} {
			if got := m.find(q, hint); got != want {
				t.Fatalf("at %d from %d match %d, not %d", q, hint, got, want)
			}
		}
	}
}

// TestMatchesUnread has no matches any more when a part cannot be read.
func TestMatchesUnread(t *testing.T) {
	broken := errors.New("broken")
	m := NewMatches(func(int, []Match) ([]Match, error) { return nil, broken })
	m.AddPart(0, 3)
	if got := m.match(1); got != (Match{}) || m.Err() != broken || m.find(0, 0) != 0 || m.count != 0 {
		t.Errorf("a match %v, %d matches, error %v", got, m.count, m.Err())
	}
	m = NewMatches(func(int, []Match) ([]Match, error) { return nil, nil })
	if got := m.find(5, 5); got != 0 {
		t.Errorf("without parts there is match %d", got)
	}
}
