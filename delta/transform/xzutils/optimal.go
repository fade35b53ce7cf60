package xzutils

// optimals is how many bytes the optimal parser looks ahead.
const optimals = 1 << 12

// parser is the state of the optimal parser: the cheapest known way to each of the bytes ahead, and
// then the decisions that it took and that are not yet coded.
type parser struct {
	ways         [optimals]way
	current, end uint32
}

// way is how to come to a byte: by one symbol, or by a literal and a match at the latest distance,
// or by a match, a literal and a match at its distance.
type way struct {
	price   uint32
	from    uint32 // the byte before the last symbol; once decided, the byte behind this symbol
	back    uint32
	backs   [repCount]uint32 // the latest distances once here
	from2   uint32           // with match: the byte before it
	back2   uint32           // with match: its distance
	state   state
	literal bool // a literal comes before the last symbol
	match   bool // and a match before that
}

func (w *way) set(price, from, back uint32) {
	w.price, w.from, w.back, w.literal = price, from, back, false
}

// improve sets the way if it is cheaper.
func (w *way) improve(price, from, back uint32) {
	if price < w.price {
		w.set(price, from, back)
	}
}

// extend makes the bytes up to end reachable, at any price.
func (e *encoder) extend(end, to uint32) uint32 {
	for end < to {
		end++
		e.ways[end].price = infinitePrice
	}
	return end
}

// optimal decides for the next symbol by the prices of all ways to code the bytes ahead.
func (e *encoder) optimal() (back, length uint32) {
	if e.end != e.current {
		w := &e.ways[e.current]
		length, back = w.from-e.current, w.back
		e.current = w.from
		return back, length
	}
	if e.ahead == 0 {
		e.updatePrices()
	}
	end, back, length := e.begin()
	if end == 0 {
		return back, length
	}
	cur := uint32(1)
	for ; cur < end; cur++ {
		if e.longest = e.find(); e.longest >= e.finder.nice {
			break
		}
		s := step{e: e, cur: cur, end: end, at: e.pos - 1, pos: e.coded + cur,
			avail: min(e.avail()+1, optimals-1-cur)}
		end = s.run()
	}
	return e.decide(cur)
}

// decide turns the cheapest way to cur around, so that it can be coded from its beginning.
func (e *encoder) decide(cur uint32) (back, length uint32) {
	e.end = cur
	from, back := e.ways[cur].from, e.ways[cur].back
	for {
		if w := &e.ways[cur]; w.literal {
			before := &e.ways[from]
			before.back, before.literal, before.from = literalBack, false, from-1
			if w.match {
				first := &e.ways[from-1]
				first.literal, first.from, first.back = false, w.from2, w.back2
			}
		}
		w := &e.ways[from]
		at := from
		from, w.from = w.from, cur
		back, w.back = w.back, back
		if cur = at; cur == 0 {
			break
		}
	}
	e.current = e.ways[0].from
	return e.ways[0].back, e.ways[0].from
}

// begin finds the ways that begin with the next symbol, and gives the last byte that they reach.
// end is 0 when the symbol is decided without a look at what comes behind it.
func (e *encoder) begin() (end, back, length uint32) {
	main := e.candidates()
	avail := min(e.avail()+1, maxMatch)
	if avail < minMatch {
		return 0, literalBack, 1
	}
	cur := e.pos - 1
	var repLengths [repCount]uint32
	best := 0
	for i, dist := range e.reps {
		if repLengths[i] = e.repLength(cur, dist, avail); repLengths[i] > repLengths[best] {
			best = i
		}
	}
	if n := repLengths[best]; n >= e.finder.nice {
		e.skip(n - 1)
		return 0, uint32(best), n
	}
	if main >= e.finder.nice {
		dist := e.matches[e.count-1].dist
		e.skip(main - 1)
		return 0, dist + repCount, main
	}
	b, other := e.buf[cur], e.buf[cur-e.reps[0]-1]
	if main < minMatch && b != other && repLengths[best] < minMatch {
		return 0, literalBack, 1
	}
	e.beginShort(cur, b, other)
	end = max(main, repLengths[best])
	if end < minMatch {
		return 0, e.ways[1].back, 1
	}
	e.beginLong(end, main, &repLengths)
	return end, 0, 0
}

// beginShort finds the cheapest way to the next byte.
func (e *encoder) beginShort(cur uint32, b, other byte) {
	s, posState := e.state, e.coded&e.posMask
	e.ways[0].state = s
	w := &e.ways[1]
	w.set(price0(e.isMatch[s][posState])+
		e.literalPrice(e.coded, e.buf[cur-1], !s.literal(), other, b), 0, literalBack)
	if b == other {
		w.improve(price1(e.isMatch[s][posState])+price1(e.isRep[s])+
			e.shortRepPrice(s, posState), 0, 0)
	}
}

// beginLong finds the cheapest ways to the bytes from the second on, with one match.
func (e *encoder) beginLong(end, main uint32, repLengths *[repCount]uint32) {
	s, posState := e.state, e.coded&e.posMask
	e.ways[0].backs = e.reps
	e.extend(1, end)
	matchPrice := price1(e.isMatch[s][posState])
	for i, n := range repLengths {
		if n < minMatch {
			continue
		}
		rep := uint32(i)
		price := matchPrice + price1(e.isRep[s]) + e.repPrice(rep, s, posState)
		for ; n >= minMatch; n-- {
			e.ways[n].improve(price+e.repLengths.price(n, posState), 0, rep)
		}
	}
	matchPrice += price0(e.isRep[s])
	n := uint32(minMatch)
	if repLengths[0] >= minMatch {
		n = repLengths[0] + 1
	}
	if n > main {
		return
	}
	for i := e.firstMatch(n); i < e.count; i++ {
		m := e.matches[i]
		for ; n <= m.length; n++ {
			e.ways[n].improve(matchPrice+e.matchPrice(m.dist, n, posState), 0, m.dist+repCount)
		}
	}
}

// firstMatch gives the first match with at least this length.
func (e *encoder) firstMatch(length uint32) int {
	i := 0
	for length > e.matches[i].length {
		i++
	}
	return i
}
