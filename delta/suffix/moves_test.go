package suffix

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// movesOf makes moves of copies: old position, new position, length.
func movesOf(copies ...[3]int) *Moves {
	m := new(Moves)
	for _, c := range copies {
		m.add(copied{int64(c[0]), int32(c[1]), int32(c[2])})
	}
	m.Sort()
	return m
}

func TestMoves(t *testing.T) {
	m := movesOf([3]int{100, 1000, 50}, [3]int{300, 0, 100}, [3]int{120, 5000, 100}, [3]int{310, 7000, 20},
		[3]int{390, 8000, 20}, [3]int{0, 9000, 15})
	for _, c := range []struct {
		old, at int64
		moved   bool
	}{
		{0, 0, false}, {99, 99, false}, {100, 1000, true}, {119, 1019, true}, {120, 5000, true}, {219, 5099, true},
		{220, 5100, false}, {300, 0, true}, {315, 15, true}, {399, 99, true}, {400, 8010, true}, {409, 8019, true},
		{410, 8020, false},
	} {
		if at, moved := m.Find(c.old); at != c.at || moved != c.moved {
			t.Errorf("%d: %d, %v; want %d, %v", c.old, at, moved, c.at, c.moved)
		}
	}
	if at, moved := new(Moves).Find(7); at != 7 || moved {
		t.Errorf("without moves: %d, %v", at, moved)
	}
}

// TestMovesAreApart demands that no two moves have an old position in common.
func TestMovesAreApart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := new(Moves)
		for range r.IntN(50) {
			m.add(copied{int64(r.IntN(300)), int32(r.IntN(1000)), int32(r.IntN(100))})
		}
		m.Sort()
		for i := 1; i < len(m.list); i++ {
			if a, b := m.list[i-1], m.list[i]; a.len <= 0 || a.old+int64(a.len) > b.old {
				t.Fatalf("%v", m.list)
			}
		}
	}
}

func TestManyMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second")
	}
	m := new(Moves)
	for i := range 2 * movesMax {
		m.add(copied{int64(i) * 100, int32(i), int32(20 + i%2*20)})
	}
	m.Sort()
	if n := len(m.list); n != movesMax {
		t.Errorf("%d moves", n)
	}
	if _, moved := m.Find(100); !moved {
		t.Error("a long move is gone")
	}
	if _, moved := m.Find(0); moved {
		t.Error("a short move is kept")
	}
}

// counting guesses bytes that count up from what it is told.
type counting struct{ parts int }

func (c counting) guess(b []byte, at, old int64, correct func([]byte)) {
	for len(b) > 0 {
		n := min(len(b), c.parts)
		for i := range n {
			b[i] += byte(at) ^ byte(old)
		}
		correct(b[:n])
		b, at, old = b[n:], at+int64(n), old+int64(n)
	}
}

// FuzzGuessed makes patches anew with a guess, and applies them.
func FuzzGuessed(f *testing.F) {
	f.Add([]byte("one two three four five six"), []byte("one three two four six seven"), uint8(3))
	f.Fuzz(func(t *testing.T, old, new []byte, parts uint8) {
		if len(old)+len(new) > 1<<12 || parts == 0 {
			return
		}
		const at = 12345
		p := counting{int(parts)}
		plain := NewIndex(old, 0).Search(new).Diff(ProgramGain)
		s := plain.Guessed(old, new, at, p.guess)
		for _, i := range []int{copies, extras, seeks, Literals} {
			if !bytes.Equal(s[i], plain[i]) {
				t.Fatalf("other %s", StreamNames[i])
			}
		}
		got, err := PatchGuessed(nil, bytes.NewReader(old), int64(len(old)), s, int64(len(new)), at, p.guess)
		if err != nil || !bytes.Equal(got, new) {
			t.Fatalf("%q, %v; want %q", got, err, new)
		}
		var m Moves
		m.Add(s, at, int64(len(new)))
		m.Sort()
	})
}

// FuzzMoves adds any bytes as copies.
func FuzzMoves(f *testing.F) {
	f.Add([]byte{20, 30, 20}, []byte{0, 1, 2}, []byte{4, 6, 8})
	f.Fuzz(func(t *testing.T, c, e, s []byte) {
		var m Moves
		m.Add(Streams{copies: c, extras: e, seeks: s}, 5, 1000)
		m.Sort()
		for _, c := range m.list {
			if at, moved := m.Find(c.old); !moved || at != int64(c.at) {
				t.Fatalf("%v at %d, %v", c, at, moved)
			}
		}
	})
}
