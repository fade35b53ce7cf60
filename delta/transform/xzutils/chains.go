package xzutils

// searchChain follows the chain of earlier positions with the same hash as pos, and notes matches
// that are longer than the ones before.
func (f *finder) searchChain() {
	limit, ok := f.searchLimit()
	if !ok {
		f.pos++
		return
	}
	head, delta2, delta3 := f.heads()
	best := f.near(delta2, delta3, limit)
	f.links[f.cyclicPos] = head
	if f.count == 0 || best < limit {
		f.followChain(head, best, limit)
	}
	f.next()
}

func (f *finder) followChain(head, best, limit uint32) {
	cur := f.buf[f.pos:]
	pos := f.pos + f.cyclicSize
	for depth := f.depth; depth > 0; depth-- {
		delta := pos - head
		if delta >= f.cyclicSize {
			return
		}
		at := f.cyclicPos - delta
		if delta > f.cyclicPos {
			at += f.cyclicSize
		}
		head = f.links[at]
		earlier := f.buf[f.pos-delta:]
		if earlier[best] != cur[best] || earlier[0] != cur[0] {
			continue
		}
		n := matchLength(f.buf, f.pos-delta, f.pos, 1, limit)
		if n > best {
			best = n
			f.matches[f.count] = match{n, delta - 1}
			f.count++
			if n == limit {
				return
			}
		}
	}
}

// enterChain enters pos without a search.
func (f *finder) enterChain() {
	if f.avail() < uint32(f.kind.hashed()) {
		f.pos++
		return
	}
	head, _, _ := f.heads()
	f.links[f.cyclicPos] = head
	f.next()
}
