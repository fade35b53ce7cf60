package suffix

import "slices"

// A Guess says what becomes of bytes that a patch copies. It is called for each copy, in order. b
// has the old bytes from position old on, which come to position at of the new content. Guess
// changes them to what it expects there. It gives all of b to correct once, in parts from front to
// back, each as soon as it has changed it. correct makes the part what it is in the new content.
type Guess func(b []byte, at, old int64, correct func(part []byte))

const (
	// movesMax is how many copies Moves has at most.
	movesMax = 1 << 20
	// moveLeast is the length of the shortest copy that counts as a move, in bytes.
	moveLeast = 16
)

// Moves says where bytes of an old content are in a new one. Add the copies of all its patches in
// order, then call Sort. It takes at most 32 MiB.
type Moves struct {
	list  []copied
	least int32
}

// Add adds the copies of a patch that Reader.Next gave, for the bytes from at on, size in number.
// Positions in the new content count modulo 2³²: of one above 2 GiB Find gives some wrong guesses.
func (m *Moves) Add(s Streams, at, size int64) {
	c := cursor{s: s}
	for old, end := int64(0), at+size; at < end && c.err == nil; {
		st := c.step(end - at)
		old += st.seek
		m.add(copied{old, int32(at), int32(st.copy)})
		old += st.copy
		at += st.copy + st.extra
	}
}

func (m *Moves) add(c copied) {
	if c.len < max(m.least, moveLeast) {
		return
	}
	if len(m.list) == movesMax {
		m.least = 2 * max(m.least, moveLeast)
		list := m.list
		m.list = m.list[:0]
		for _, c := range list {
			m.add(c)
		}
		m.add(c)
		return
	}
	m.list = append(m.list, c)
}

// Sort ends the adding. Of what was copied twice, the longer copy counts.
func (m *Moves) Sort() {
	slices.SortFunc(m.list, byOld)
	kept := m.list[:0]
	for _, c := range m.list {
		for c.len > 0 && len(kept) > 0 {
			last := &kept[len(kept)-1]
			over := last.old + int64(last.len) - c.old
			if over <= 0 {
				break
			}
			if last.len < c.len {
				if last.len = int32(c.old - last.old); last.len > 0 {
					break
				}
				kept = kept[:len(kept)-1]
				continue
			}
			over = min(over, int64(c.len))
			c.old, c.at, c.len = c.old+over, c.at+int32(over), c.len-int32(over)
		}
		if c.len > 0 {
			kept = append(kept, c)
		}
	}
	m.list = kept
}

// Find gives the place of an old position in the new content. It is a guess, as far from the move
// before as in the old content, unless the position lies in a move.
func (m *Moves) Find(old int64) (at int64, moved bool) {
	i, end := 0, len(m.list)
	for i < end {
		if middle := (i + end) / 2; m.list[middle].old <= old {
			i = middle + 1
		} else {
			end = middle
		}
	}
	if i == 0 {
		return old, false
	}
	c := m.list[i-1]
	return int64(c.at) + old - c.old, old-c.old < int64(c.len)
}

// Guessed gives the patch that has the steps of s, and makes new from old with a guess. new is the
// bytes of the new content from at on.
func (s Streams) Guessed(old, new []byte, at int64, guess Guess) Streams {
	w := writer{new: new}
	w.s[copies], w.s[extras], w.s[seeks] = s[copies], s[extras], s[seeks]
	c := cursor{s: s}
	var buf []byte
	pos := int64(0)
	for w.done < len(new) && c.err == nil {
		st := c.step(int64(len(new) - w.done))
		pos += st.seek
		if st.copy > 0 {
			buf = append(buf[:0], old[pos:pos+st.copy]...)
			guess(buf, at+int64(w.done), pos, w.correct)
		}
		pos += st.copy
		w.s[Literals] = append(w.s[Literals], new[w.done:w.done+int(st.extra)]...)
		w.done += int(st.extra)
	}
	w.run()
	return w.s
}

// correct writes the differences of a part of a copy.
func (w *writer) correct(part []byte) {
	new := w.new[w.done : w.done+len(part)]
	for i := range part {
		w.difference(new[i] - part[i])
	}
	w.done += copy(part, new)
}
