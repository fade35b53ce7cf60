package patchset

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"testing"

	"github.com/andybalholm/brotli"

	"deltaup/chunkstore"
)

// watch gives a MakeOptions.Progress that demands that every phase keeps to its amount and never
// goes back, and end, which demands that each has done all and gives how often each went on.
func watch(t *testing.T, want Amounts) (progress func(Progress), end func() (reports [Phases]int)) {
	t.Helper()
	var done Amounts
	var reports [Phases]int
	progress = func(p Progress) {
		want[PhaseCompress] = p.All[PhaseCompress] // in advance it is an estimate
		if p.All != want {
			t.Fatalf("amounts %v, in advance they were %v", p.All, want)
		}
		if p.Done < done[p.Phase] || p.Done > want[p.Phase] {
			t.Fatalf("phase %d: %d after %d, of %d", p.Phase, p.Done, done[p.Phase], want[p.Phase])
		}
		if p.Phase == PhaseSearch && reports[PhaseMatch] > 0 {
			t.Fatal("the search goes on")
		}
		if p.Done > done[p.Phase] {
			reports[p.Phase]++
		}
		done[p.Phase] = p.Done
	}
	return progress, func() [Phases]int {
		t.Helper()
		want[PhaseApply] = 0 // Make leaves it to others
		if done != want {
			t.Errorf("done are %v of %v", done, want)
		}
		return reports
	}
}

// TestProgress: every phase tells of each content that it went through, and ends with all.
func TestProgress(t *testing.T) {
	from, to := fixture(t)
	for what, c := range map[string]struct {
		from, to *release
		phases   [Phases]bool // that have to do something
	}{
		"a step":    {from, to, [...]bool{true, true, true, true}},
		"back":      {to, from, [...]bool{true, true, true, true}},
		"no change": {to, to, [Phases]bool{}},
	} {
		amounts := AmountsOf(c.from.recipe, c.to.recipe)
		for phase, all := range amounts {
			if (all > 0) != c.phases[phase] {
				t.Errorf("%s: phase %d is to do %d", what, phase, all)
			}
		}
		progress, end := watch(t, amounts)
		makeSet(t, c.from, c.to, MakeOptions{Progress: progress})
		if got := end(); c.phases[PhaseSearch] && (got[PhaseSearch] < 5 || got[PhaseMatch] < 5) {
			t.Errorf("%s: reports %v", what, got)
		}
	}
}

// TestFailedContent: a content whose patch could not be made is not done.
func TestFailedContent(t *testing.T) {
	plain := text(1, 5000)
	from := newRelease(t, 1, fixtureChunks, []file{{path: "etc/x", plain: plain}})
	to := newRelease(t, 1, fixtureChunks, []file{{path: "etc/x", plain: changed(plain, 700)}})
	clear(to.plain)
	done := int64(0)
	o := MakeOptions{Progress: func(p Progress) {
		if p.Phase == PhaseMatch {
			done = p.Done
		}
	}}
	_, err := Make(t.Context(), io.Discard, Side{from.recipe, from}, Side{to.recipe, to}, o)
	if !errors.Is(err, chunkstore.ErrNotFound) || done != 0 {
		t.Errorf("%d bytes are done, error %v", done, err)
	}
}

// TestStreamAmount: how much there is to compress is estimated from what contents became so far,
// and known in the end.
func TestStreamAmount(t *testing.T) {
	var last Progress
	const mb = 1 << 20
	to := &teller{
		tell:     func(p Progress) { last = p },
		all:      Amounts{PhaseMatch: 16 * mb, PhaseCompress: 2 * mb},
		contents: 16 * mb,
	}
	for i, c := range []struct{ plain, streams, want int64 }{
		{mb, mb / 8, 2 * mb},        // as usual
		{6 * mb, 0, 9*mb/32 + mb/8}, // much less
		{mb, 7*mb + 7*mb/8, 8*mb + 8*mb*65/72},
		{8 * mb, mb, 9 * mb},
		{0, -9 * mb, 0}, // none of it is kept
	} {
		to.matched(c.plain, c.streams, c.plain)
		if got := last.All[PhaseCompress]; got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
	if last.Phase != PhaseMatch || last.Done != 16*mb {
		t.Errorf("%+v", last)
	}
}

// TestPackedAmounts: a .xz file that an encoder may make again counts as what takes as long.
func TestPackedAmounts(t *testing.T) {
	const kb = 1 << 10
	for _, c := range []struct {
		path         string
		size         int64
		match, apply int64
	}{
		{"usr/lib/modules/6.12/xfs.ko", 64 * kb, 64 * kb, 64 * kb},
		{"usr/lib/modules/6.12/xfs.ko.xz", 64 * kb, 64 * kb * matchXZ, 64 * kb * applyXZ},
		{"large.xz", PieceMax + 1, PieceMax + 1, PieceMax + 1},
	} {
		l := &listing{
			contents: []*chunkstore.Content{{Size: c.size}},
			patterns: []*chunkstore.Content{{Size: 1}},
			paths:    []string{c.path},
		}
		want := Amounts{
			PhaseMatch: c.match, PhaseCompress: c.size / streamShare, PhaseApply: c.apply,
		}
		if got := amountsOf(l, search{}); got != want {
			t.Errorf("%s: %v, want %v", c.path, got, want)
		}
	}
}

// TestWithin: a large content moves before its patch is made, a small one does not, and each counts
// once.
func TestWithin(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct{ size, first, second int64 }{{9 * mb, 3 * mb, 5 * mb}, {mb, 0, 0}} {
		var last Progress
		to := &teller{
			tell:     func(p Progress) { last = p },
			all:      Amounts{PhaseMatch: c.size},
			contents: c.size,
		}
		w := to.within(c.size, c.size)
		for _, want := range []int64{c.first, c.second} {
			if w.step(); last.Done != want {
				t.Errorf("%d bytes: %d are done, want %d", c.size, last.Done, want)
			}
		}
		if w.end(7); last.Done != c.size || last.All[PhaseCompress] != 7 {
			t.Errorf("%d bytes: in the end %+v", c.size, last)
		}
	}
}

// TestBrotliPieces: feeding brotli in pieces tells of all bytes and changes none of its output.
func TestBrotliPieces(t *testing.T) {
	for _, size := range []int{0, 1, fedPiece - 1, fedPiece, fedPiece + 1, 5*fedPiece + 3} {
		if testing.Short() && size > 2*fedPiece {
			continue
		}
		plain, sum, calls := text(uint64(size), size), 0, 0
		got := encodeBrotli(plain, func(n int) { sum, calls = sum+n, calls+1 })
		if sum != size || calls != (size+fedPiece-1)/fedPiece {
			t.Errorf("%d bytes: told of %d in %d calls", size, sum, calls)
		}
		var want bytes.Buffer
		w := brotli.NewWriterOptions(&want, brotli.WriterOptions{
			Quality: brotliQuality,
			LGWin:   min(max(bits.Len(uint(size)), brotliWindowMin), brotliWindowMax),
		})
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes: fed in pieces brotli gives others", size)
		}
	}
}
