package suffix

import (
	"encoding/binary"
	"fmt"
)

// joinMax is the longest run of equal bytes between two differences that is kept among them: a
// shorter run of zeros costs less than the two lengths that leave it out.
var joinMax = 8

// Diff makes a patch from old to new; both may be empty. oldStart is where old lies in the old content, of
// which it may be a window: the patch counts positions from the content's beginning. The result depends
// on the arguments alone. At most WindowMax bytes of old and NewMax of new; more panic.
func Diff(old []byte, oldStart int64, new []byte) Streams {
	if len(old) > WindowMax || len(new) > NewMax {
		panic(fmt.Sprintf("suffix: a patch from %d to %d bytes", len(old), len(new)))
	}
	w := writer{old: old, new: new, base: oldStart}
	if len(old) > 0 {
		m := match{}
		scan(newIndex(old), old, new, func(pos, start, length int) {
			next := match{start: start, pos: pos, length: length}
			w.between(m, next)
			m = next
		})
	}
	w.finish()
	return w.s
}

// writer turns matches into streams.
type writer struct {
	old, new []byte
	base     int64 // position of old in the old content
	s        Streams

	done int   // bytes of new that are written
	last int   // where the copy at hand begins in new; it is extended backwards by the match after it
	pos  int   // and in old
	at   int64 // old position behind the last copy

	zeros, diffs int // run at hand: bytes without difference, then differing ones; diffs end in a possible run of zeros
	tail         int // how many of diffs are zeros at their end
	pending      []byte
}

// between writes what lies between the beginnings of two matches: a copy that extends a forward, what extends b
// backward is left to the next call, literals for the rest.
func (w *writer) between(a, b match) {
	forward := w.forward(w.pos, w.last, b.start)
	backward := 0
	if b.start < len(w.new) {
		backward = w.backward(b.pos, b.start, w.last)
	}
	if overlap := w.last + forward - (b.start - backward); overlap > 0 {
		// Both claim some bytes: give each to the one that gets more of them right.
		cut := w.split(w.pos+forward-overlap, w.last+forward-overlap, b.pos-backward, overlap)
		forward += cut - overlap
		backward -= cut
	}
	w.step(w.pos, w.last, forward, b.start-backward)
	w.pos, w.last = b.pos-backward, b.start-backward
}

// forward tells how far a copy from pos to start reaches before it is wrong more often than right.
func (w *writer) forward(pos, start, limit int) int {
	right, best, length := 0, 0, 0
	for i := 0; start+i < limit && pos+i < len(w.old); i++ {
		if w.old[pos+i] == w.new[start+i] {
			right++
		}
		if right*2-(i+1) > best*2-length {
			best, length = right, i+1
		}
	}
	return length
}

// backward is forward in the other direction: limit < start.
func (w *writer) backward(pos, start, limit int) int {
	right, best, length := 0, 0, 0
	for i := 1; start-i >= limit && pos-i >= 0; i++ {
		if w.old[pos-i] == w.new[start-i] {
			right++
		}
		if right*2-i > best*2-length {
			best, length = right, i
		}
	}
	return length
}

// split tells how many of n bytes of new from start on go to the copy from a; the rest go to that from b.
func (w *writer) split(a, start, b, n int) int {
	score, best, cut := 0, 0, 0
	for i := range n {
		if w.new[start+i] == w.old[a+i] {
			score++
		}
		if w.new[start+i] == w.old[b+i] {
			score--
		}
		if score > best {
			best, cut = score, i+1
		}
	}
	return cut
}

// step writes one copy of length bytes and the literals after it, up to end.
func (w *writer) step(pos, start, length, end int) {
	if length == 0 && start == end {
		return
	}
	seek := w.base + int64(pos) - w.at
	if length == 0 {
		seek = 0
	}
	w.s[Copies] = binary.AppendUvarint(w.s[Copies], uint64(length))
	w.s[Extras] = binary.AppendUvarint(w.s[Extras], uint64(end-start-length))
	w.s[Seeks] = binary.AppendVarint(w.s[Seeks], seek)
	w.at += seek + int64(length)
	for i := range length {
		w.difference(w.new[start+i] - w.old[pos+i])
	}
	w.s[Literals] = append(w.s[Literals], w.new[start+length:end]...)
	w.done = end
}

// difference adds one copied byte's difference to the run at hand.
func (w *writer) difference(d byte) {
	switch {
	case d != 0:
		w.pending = append(w.pending, d)
		w.tail = 0
	case len(w.pending) == 0:
		w.zeros++
	case w.tail < joinMax:
		w.pending = append(w.pending, 0)
		w.tail++
	default: // the zeros at the end begin the next run
		zeros := w.tail + 1
		w.run()
		w.zeros = zeros
	}
}

// run writes the run at hand.
func (w *writer) run() {
	diffs := w.pending[:len(w.pending)-w.tail]
	if w.zeros+len(diffs) > 0 {
		w.s[Runs] = binary.AppendUvarint(w.s[Runs], uint64(w.zeros))
		if len(diffs) > 0 {
			w.s[Runs] = binary.AppendUvarint(w.s[Runs], uint64(len(diffs)))
		}
	}
	w.s[Diffs] = append(w.s[Diffs], diffs...)
	w.pending, w.zeros, w.tail = w.pending[:0], 0, 0
}

// finish writes what is left after the last match.
func (w *writer) finish() {
	if w.done < len(w.new) {
		w.step(w.pos, w.last, w.forward(w.pos, w.last, len(w.new)), len(w.new))
	}
	zeros := w.tail
	w.run()
	if zeros > 0 {
		w.zeros = zeros
		w.run()
	}
}
