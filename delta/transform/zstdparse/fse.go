package zstdparse

import "math/bits"

// fse is a table of a finite state coder, RFC 8878, section 4.1, for both directions.
type fse struct {
	log   int // of the number of states
	steps []fseStep
	// Encoders: the next states, by symbol, and how each symbol finds its own.
	states  []uint16
	symbols []fseSymbol
}

// fseStep is what a state stands for, and what follows: base and so many bits more.
type fseStep struct {
	symbol, bits uint8
	base         uint16
}

// fseSymbol tells how many bits of a state are written, times 65536 and less what rounds that, and
// where the symbol's next states lie. With a count of 0 no state is the symbol's.
type fseSymbol struct {
	count int16
	bits  uint32
	from  int32
}

// readCounts reads the description of a table: how often each symbol comes in 1<<log states, -1 for
// less than once.
func readCounts(b []byte, symbolMax, logMax int) (counts []int16, log, size int, ok bool) {
	f := forward{b: b}
	log = f.peek(4) + 5
	if f.at = 4; log > logMax {
		return nil, 0, 0, false
	}
	for left := 1<<log + 1; left > 1; {
		if len(counts) > symbolMax {
			return nil, 0, 0, false
		}
		// The values that are possible do not fill their bits, so the first ones take one less.
		n := bits.Len(uint(left))
		v, short := f.peek(n), 1<<n-1-left
		if half := 1 << (n - 1); v&(half-1) < short {
			v &= half - 1
			n--
		} else if v >= half {
			v -= short
		}
		f.at += n
		counts = append(counts, int16(v-1))
		left -= max(v-1, 1-v)
		for more := v == 1; more; {
			zeros := f.peek(2)
			f.at += 2
			counts = append(counts, make([]int16, zeros)...)
			more = zeros == 3 && len(counts) <= symbolMax
		}
		if left < 1 {
			return nil, 0, 0, false
		}
	}
	size = (f.at + 7) / 8
	return counts, log, size, len(counts) <= symbolMax+1 && size <= len(b)
}

// newFSE makes the table of counts that readCounts gave.
func newFSE(counts []int16, log int) *fse {
	size := 1 << log
	t := &fse{log: log, steps: make([]fseStep, size), states: make([]uint16, size),
		symbols: make([]fseSymbol, len(counts))}
	t.spread(counts)
	next := make([]uint16, len(counts)) // numbers of a symbol's states
	first := make([]int32, len(counts)) // where they lie
	total := int32(0)
	for s, n := range counts {
		first[s], next[s] = total, uint16(max(n, -n))
		t.symbols[s] = newSymbol(n, log, total)
		total += int32(next[s])
	}
	for i := range t.steps {
		st := &t.steps[i]
		x := next[st.symbol]
		next[st.symbol]++
		st.bits = uint8(log + 1 - bits.Len16(x))
		st.base = x<<st.bits - uint16(size)
		t.states[first[st.symbol]] = uint16(size + i)
		first[st.symbol]++
	}
	return t
}

// spread gives states to symbols: those that are rarer than once from the end on, the others in
// jumps.
func (t *fse) spread(counts []int16) {
	size := len(t.steps)
	high := size - 1
	for s, n := range counts {
		if n == -1 {
			t.steps[high].symbol = uint8(s)
			high--
		}
	}
	at, jump := 0, size>>1+size>>3+3
	for s, n := range counts {
		for range max(n, 0) {
			t.steps[at].symbol = uint8(s)
			for at = (at + jump) & (size - 1); at > high; {
				at = (at + jump) & (size - 1)
			}
		}
	}
}

// newSymbol is for a symbol of n states, before which others have first.
func newSymbol(n int16, log int, first int32) fseSymbol {
	switch n {
	case 0:
		return fseSymbol{}
	case 1, -1:
		return fseSymbol{count: 1, bits: uint32(log<<16 - 1<<log), from: first - 1}
	}
	most := log + 1 - bits.Len(uint(n-1))
	return fseSymbol{count: n, bits: uint32(most<<16 - int(n)<<most), from: first - int32(n)}
}

// oneSymbol is the table of one symbol, which takes no bits.
func oneSymbol(symbol uint8) *fse {
	t := &fse{steps: []fseStep{{symbol: symbol}}, states: []uint16{1},
		symbols: make([]fseSymbol, int(symbol)+1)}
	t.symbols[symbol] = newSymbol(1, 0, 0)
	return t
}

// has tells whether a symbol can be written.
func (t *fse) has(symbol uint8) bool {
	return int(symbol) < len(t.symbols) && t.symbols[symbol].count != 0
}

// last gives the state from which a decoder's last symbol is read; with it an encoder begins.
func (t *fse) last(symbol uint8) uint32 {
	s := t.symbols[symbol]
	n := (s.bits + 1<<15) >> 16
	return uint32(t.states[int32((n<<16-s.bits)>>n)+s.from])
}

// write writes the bits that lead from the state before, which has symbol, to state.
func (t *fse) write(w *bitWriter, state uint32, symbol uint8) (before uint32) {
	s := t.symbols[symbol]
	n := (state + s.bits) >> 16
	w.add(state, int(n))
	return uint32(t.states[int32(state>>n)+s.from])
}
