package suffix

import (
	"bytes"
	"errors"
	"index/suffixarray"
	"math/rand/v2"
	"slices"
	"testing"
)

// random gives n bytes from an alphabet of symbols symbols.
func random(r *rand.Rand, n, symbols int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(symbols))
	}
	return b
}

func TestSortedAgainstComparison(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	texts := [][]byte{nil, {7}, {0, 0}, bytes.Repeat([]byte{5}, 300), bytes.Repeat([]byte("abaab"), 100), []byte("mississippi")}
	for n := range 200 {
		texts = append(texts, random(r, n*3, 1+n%7), random(r, n, 256))
	}
	for _, text := range texts {
		want := make([]int32, len(text))
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortFunc(want, func(a, b int32) int { return bytes.Compare(text[a:], text[b:]) })
		if got := sorted(text); !slices.Equal(got, want) {
			t.Fatalf("suffix array of %q: %v, want %v", text, got, want)
		}
	}
}

func TestLongestAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 30 {
		old := random(r, 1+r.IntN(400), 2+r.IntN(3))
		x, std := NewIndex(old, 0), suffixarray.New(old)
		for range 50 {
			p := random(r, r.IntN(30), 3)
			pos, n, _ := x.longest(p)
			if !bytes.HasPrefix(old[pos:], p[:n]) {
				t.Fatalf("%v does not begin at %d of %v for %d bytes", p, pos, old, n)
			}
			if n < len(p) && len(std.Lookup(p[:n+1], 1)) > 0 && n+1 >= 2 {
				t.Fatalf("longest(%v) in %v: %d bytes, there are more", p, old, n)
			}
		}
	}
}

// edit changes p like a program that is built again: bytes here and there, insertions, deletions,
// moves.
func edit(r *rand.Rand, p []byte) []byte {
	p = bytes.Clone(p)
	for range r.IntN(20) {
		if len(p) < 10 {
			break
		}
		i := r.IntN(len(p) - 5)
		switch r.IntN(4) {
		case 0:
			p[i]++
		case 1:
			p = slices.Insert(p, i, random(r, r.IntN(50), 256)...)
		case 2:
			p = slices.Delete(p, i, min(len(p), i+r.IntN(60)))
		case 3:
			for ; i < len(p); i += 16 {
				p[i] += 3
			}
		}
	}
	return p
}

func check(t *testing.T, old, new []byte, start int64) Streams {
	t.Helper()
	s := NewIndex(old, start).Search(new).Diff([]int{ProgramGain, TextGain}[len(new)%2])
	got, err := Patch([]byte("kept"), offset{old, start}, start+int64(len(old)), s, int64(len(new)))
	if err != nil {
		t.Fatalf("patch %d to %d bytes: %v", len(old), len(new), err)
	}
	if !bytes.Equal(got, append([]byte("kept"), new...)) {
		t.Fatalf("patch %d to %d bytes: other bytes", len(old), len(new))
	}
	return s
}

// offset is a content that may be read only from start on.
type offset struct {
	p     []byte
	start int64
}

func (o offset) ReadAt(p []byte, off int64) (int, error) {
	if off < o.start && len(p) > 0 {
		return 0, errors.New("read before the window")
	}
	if off < o.start {
		return 0, nil
	}
	return bytes.NewReader(o.p).ReadAt(p, off-o.start)
}

func TestPatchGivesNew(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := range 400 {
		old := random(r, r.IntN(3000), []int{2, 4, 256}[n%3])
		check(t, old, edit(r, old), int64(n))
		check(t, old, random(r, r.IntN(300), 3), 0)
	}
	check(t, nil, nil, 0)
	check(t, []byte("old"), nil, 0)
	check(t, nil, []byte("new"), 0)
}

func TestDiffIsSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	old := random(r, 1<<20, 256)
	new := bytes.Clone(old)
	for i := 100; i < len(new); i += 50_000 {
		new[i]++
	}
	new = slices.Insert(new, 500_000, []byte("a few bytes that nobody has seen before")...)
	if s := check(t, old, new, 0); s.Len() > 300 {
		t.Errorf("%d bytes for 21 changes", s.Len())
	}
	if s := check(t, old, old, 0); s.Len() > 12 {
		t.Errorf("%d bytes for no change", s.Len())
	}
}

// TestRepetitions gives inputs that take plain bsdiff quadratic time.
func TestRepetitions(t *testing.T) {
	zeros := make([]byte, 1<<20)
	check(t, zeros, zeros[:3<<18], 0)
	spoilt := bytes.Clone(zeros)
	for i := 1000; i < len(spoilt); i += 100_003 {
		spoilt[i] = 1
	}
	check(t, zeros, spoilt, 0)
	check(t, spoilt, zeros, 0)
	unit := random(rand.New(rand.NewPCG(5, 5)), 1000, 256)
	twice := bytes.Repeat(unit, 500)
	other := bytes.Clone(twice)
	for i := 0; i < len(other); i += 7919 {
		other[i]++
	}
	check(t, slices.Concat(other, twice), other, 0)
	check(t, twice, other, 0)
}

func TestJoinedPatches(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	var joined Streams
	var olds, news [][]byte
	for range 30 {
		old := random(r, r.IntN(2000), 256)
		olds, news = append(olds, old), append(news, edit(r, old))
		s := diff(old, news[len(news)-1])
		joined.Append(&s)
	}
	reader := NewReader(joined)
	for i, old := range olds {
		s, err := reader.Next(int64(len(old)), int64(len(news[i])))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Patch(nil, bytes.NewReader(old), int64(len(old)), s, int64(len(news[i])))
		if err != nil || !bytes.Equal(got, news[i]) {
			t.Fatalf("patch %d: %v", i, err)
		}
	}
	if err := reader.Done(); err != nil {
		t.Error(err)
	}
}
