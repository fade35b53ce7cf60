package xzutils

// candidates gives the matches from the position that is coded next: it searches unless that
// position was searched already. It gives the length of the longest one.
func (e *encoder) candidates() uint32 {
	if e.ahead == 0 {
		return e.find()
	}
	return e.longest
}

// fast decides for the next symbol by rules of thumb.
func (e *encoder) fast() (back, length uint32) {
	main := e.candidates()
	avail := min(e.avail()+1, maxMatch)
	if avail < minMatch {
		return literalBack, 1
	}
	rep, repLength := e.longestRep(avail)
	if repLength >= e.finder.nice {
		e.skip(repLength - 1)
		return rep, repLength
	}
	if main >= e.finder.nice {
		e.skip(main - 1)
		return e.matches[e.count-1].dist + repCount, main
	}
	main, dist := e.nearer(main)
	if repLength >= minMatch && (repLength+1 >= main ||
		repLength+2 >= main && dist > 1<<9 || repLength+3 >= main && dist > 1<<15) {
		e.skip(repLength - 1)
		return rep, repLength
	}
	if main < minMatch || avail <= minMatch || e.betterNext(main, dist) {
		return literalBack, 1
	}
	e.skip(main - 2)
	return dist + repCount, main
}

// longestRep gives the first of the latest distances with a match of at least nice, or else the
// first with the longest match.
func (e *encoder) longestRep(avail uint32) (rep, length uint32) {
	cur := e.pos - 1
	for i, dist := range e.reps {
		n := e.repLength(cur, dist, avail)
		if n >= e.finder.nice {
			return uint32(i), n
		}
		if n > length {
			rep, length = uint32(i), n
		}
	}
	return rep, length
}

// repLength gives the length of the match at a distance, or 0 if it is below two.
func (e *encoder) repLength(at, dist, limit uint32) uint32 {
	buf := e.buf
	if buf[at] != buf[at-dist-1] || buf[at+1] != buf[at-dist] {
		return 0
	}
	return matchLength(buf, at-dist-1, at, 2, limit)
}

// nearer gives up a byte of length where the distance becomes much smaller.
func (e *encoder) nearer(main uint32) (length, dist uint32) {
	if main < minMatch {
		return main, 0
	}
	i := e.count - 1
	dist = e.matches[i].dist
	for i > 0 && main == e.matches[i-1].length+1 && muchSmaller(e.matches[i-1].dist, dist) {
		i--
		main, dist = e.matches[i].length, e.matches[i].dist
	}
	if main == minMatch && dist >= 0x80 {
		main = 1
	}
	return main, dist
}

func muchSmaller(a, b uint32) bool { return b>>7 > a }

// betterNext searches from the next position, and tells whether to wait for what is found there.
func (e *encoder) betterNext(main, dist uint32) bool {
	e.longest = e.find()
	if next := e.longest; next >= minMatch {
		nextDist := e.matches[e.count-1].dist
		if next >= main && nextDist < dist || next == main+1 && !muchSmaller(dist, nextDist) ||
			next > main+1 || next+1 >= main && main > minMatch && muchSmaller(nextDist, dist) {
			return true
		}
	}
	limit := max(minMatch, main-1)
	cur := e.pos - 1
	for _, dist := range e.reps {
		if matchLength(e.buf, cur-dist-1, cur, 0, limit) == limit {
			return true
		}
	}
	return false
}
