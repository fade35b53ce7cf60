package suffix

import "encoding/binary"

// Values for Search.Diff: by how many bytes a match elsewhere must beat the continuation of the
// last match.
const (
	ProgramGain = 8 // makes many short matches, for contents in which single bytes differ
	// TextGain makes few long matches, for contents with insertions whose new bytes compress well.
	TextGain = 32
)

// Diff makes a patch. gain is the number of bytes by which a match elsewhere must beat the
// continuation of the last match. The time is linear in the length of the new content, whatever the
// contents are: where looking up matches costs too much, Diff looks up only some positions.
func (s *Search) Diff(gain int) Streams {
	w := writer{old: s.x.old, new: s.new, base: s.x.start}
	if len(w.old) > 0 {
		m := match{}
		s.matches(gain, func(next match) {
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

	done int // bytes of new that the streams make so far
	// where the current copy begins in new, extended backward from its match
	last int
	pos  int   // where it begins in old
	at   int64 // position in the old content behind the last copy

	zeros, diffs int // the current run: equal bytes, then differing bytes
}

// between writes the bytes from the current copy, that of match a, up to that of match b. It
// extends a forward and b backward, writes a's copy, and literals for the bytes between the two.
// The next call writes b's copy.
func (w *writer) between(a, b match) {
	forward := w.forward(w.pos, w.last, b.start)
	backward := 0
	if b.start < len(w.new) {
		backward = w.backward(b.pos, b.start, w.last)
	}
	if overlap := w.last + forward - (b.start - backward); overlap > 0 {
		// Both copies cover some bytes. Cut where most of these come out right.
		cut := w.split(w.pos+forward-overlap, w.last+forward-overlap, b.pos-backward, overlap)
		forward += cut - overlap
		backward -= cut
	}
	w.step(w.pos, w.last, forward, b.start-backward)
	w.pos, w.last = b.pos-backward, b.start-backward
}

// forward gives the length of a copy from pos in old to start in new at which it has most right
// bytes for its wrong ones. It ends before limit in new.
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

// backward is forward in the other direction: it covers bytes of new from start down to limit.
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

// split shares n bytes of new from start on between a copy from a and one from b, positions in old.
// It gives how many the first one gets.
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
	w.s[copies] = binary.AppendUvarint(w.s[copies], uint64(length))
	w.s[extras] = binary.AppendUvarint(w.s[extras], uint64(end-start-length))
	w.s[seeks] = binary.AppendVarint(w.s[seeks], seek)
	w.at += seek + int64(length)
	for i := range length {
		w.difference(w.new[start+i] - w.old[pos+i])
	}
	w.s[Literals] = append(w.s[Literals], w.new[start+length:end]...)
	w.done = end
}

// difference adds the difference of one copied byte to the current run.
func (w *writer) difference(d byte) {
	if d != 0 {
		w.diffs++
		w.s[diffs] = append(w.s[diffs], d)
		return
	}
	if w.diffs > 0 {
		w.run()
	}
	w.zeros++
}

// run writes the current run.
func (w *writer) run() {
	if w.zeros+w.diffs == 0 {
		return
	}
	w.s[runs] = binary.AppendUvarint(w.s[runs], uint64(w.zeros))
	if w.diffs > 0 {
		w.s[runs] = binary.AppendUvarint(w.s[runs], uint64(w.diffs))
	}
	w.zeros, w.diffs = 0, 0
}

// finish writes what is left after the last match.
func (w *writer) finish() {
	if w.done < len(w.new) {
		w.step(w.pos, w.last, w.forward(w.pos, w.last, len(w.new)), len(w.new))
	}
	w.run()
}
