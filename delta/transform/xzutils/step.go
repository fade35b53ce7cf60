package xzutils

// step extends the ways from one of the bytes ahead.
type step struct {
	e        *encoder
	cur, end uint32 // the byte, and the last one that ways reach
	at       uint32 // its place in the block
	pos      uint32 // its position, of which the low bits count
	avail    uint32 // bytes from here on

	state      state
	posState   uint32
	reps       [repCount]uint32
	b, other   byte   // the byte here, and the one at the latest distance
	matchPrice uint32 // of coming here and of saying that a match follows
	repPrice   uint32 // and that it is at one of the latest distances
	literal    uint32 // price of coming behind the byte with a literal
}

// run gives the last byte that ways then reach.
func (s *step) run() uint32 {
	e := s.e
	s.arrive()
	s.b, s.other = e.buf[s.at], e.buf[s.at-s.reps[0]-1]
	s.posState = s.pos & e.posMask
	tried := s.short()
	if s.avail < minMatch {
		return s.end
	}
	if !tried && s.b != s.other {
		s.literalRep()
	}
	start := s.repeated()
	s.matched(start)
	return s.end
}

// arrive computes state and latest distances at the byte from the way to it.
func (s *step) arrive() {
	w := &s.e.ways[s.cur]
	from := w.from
	switch {
	case w.literal && w.match:
		s.state = s.e.ways[w.from2].state.afterDist(w.back2).afterLiteral()
		from--
	case w.literal:
		from--
		s.state = s.e.ways[from].state.afterLiteral()
	default:
		s.state = s.e.ways[from].state
	}
	if from == s.cur-1 {
		s.reps = s.e.ways[from].backs
		if w.back == 0 {
			s.state = s.state.afterShortRep()
		} else {
			s.state = s.state.afterLiteral()
		}
	} else {
		back := w.back
		if w.literal && w.match {
			from, back = w.from2, w.back2
			s.state = s.state.afterRep()
		} else {
			s.state = s.state.afterDist(back)
		}
		s.reps = moved(&s.e.ways[from].backs, back)
	}
	w.state, w.backs = s.state, s.reps
}

// moved gives the latest distances after a match at back.
func moved(reps *[repCount]uint32, back uint32) [repCount]uint32 {
	switch back {
	case 0:
		return *reps
	case 1:
		return [repCount]uint32{reps[1], reps[0], reps[2], reps[3]}
	case 2:
		return [repCount]uint32{reps[2], reps[0], reps[1], reps[3]}
	case 3:
		return [repCount]uint32{reps[3], reps[0], reps[1], reps[2]}
	}
	return [repCount]uint32{back - repCount, reps[0], reps[1], reps[2]}
}

// short tries a literal, and one byte at the latest distance. It tells whether one of them is now
// the way to the next byte.
func (s *step) short() bool {
	e, next := s.e, &s.e.ways[s.cur+1]
	price := e.ways[s.cur].price
	isMatch := e.isMatch[s.state][s.posState]
	s.literal = price + price0(isMatch) +
		e.literalPrice(s.pos, e.buf[s.at-1], !s.state.literal(), s.other, s.b)
	tried := false
	if s.literal < next.price {
		next.set(s.literal, s.cur, literalBack)
		tried = true
	}
	s.matchPrice = price + price1(isMatch)
	s.repPrice = s.matchPrice + price1(e.isRep[s.state])
	if s.b == s.other && !(next.from < s.cur && next.back == 0) {
		if p := s.repPrice + e.shortRepPrice(s.state, s.posState); p <= next.price {
			next.set(p, s.cur, 0)
			tried = true
		}
	}
	return tried
}

// literalRep tries a literal and a match at the latest distance.
func (s *step) literalRep() {
	e := s.e
	limit := min(s.avail, e.finder.nice+1)
	n := matchLength(e.buf, s.at-s.reps[0]-1, s.at, 1, limit) - 1
	if n < minMatch {
		return
	}
	price := s.literal +
		e.nextRep0Price(n, s.state.afterLiteral(), (s.pos+1)&e.posMask)
	to := s.cur + 1 + n
	s.end = e.extend(s.end, to)
	if w := &e.ways[to]; price < w.price {
		w.set(price, s.cur+1, 0)
		w.literal, w.match = true, false
	}
}

// repeated tries matches at the latest distances. It gives the length from which on other matches
// are worth trying.
func (s *step) repeated() uint32 {
	e := s.e
	start := uint32(minMatch)
	limit := min(s.avail, e.finder.nice)
	for i, dist := range s.reps {
		n := e.repLength(s.at, dist, limit)
		if n == 0 {
			continue
		}
		s.end = e.extend(s.end, s.cur+n)
		rep := uint32(i)
		price := s.repPrice + e.repPrice(rep, s.state, s.posState)
		for k := n; k >= minMatch; k-- {
			e.ways[s.cur+k].improve(price+e.repLengths.price(k, s.posState), s.cur, rep)
		}
		if i == 0 {
			start = n + 1
		}
		s.literalRepAfter(price+e.repLengths.price(n, s.posState), dist, n, rep)
	}
	return start
}

// matched tries the matches that were found, from a length on.
func (s *step) matched(start uint32) {
	e := s.e
	longest, count := e.longest, e.count
	if limit := min(s.avail, e.finder.nice); longest > limit {
		longest = limit
		count = e.firstMatch(longest)
		e.matches[count].length = longest
		count++
	}
	if longest < start {
		return
	}
	matchPrice := s.matchPrice + price0(e.isRep[s.state])
	s.end = e.extend(s.end, s.cur+longest)
	n := start
	for i := e.firstMatch(start); i < count; i++ {
		m := e.matches[i]
		price := uint32(0)
		for ; n <= m.length; n++ {
			price = matchPrice + e.matchPrice(m.dist, n, s.posState)
			e.ways[s.cur+n].improve(price, s.cur, m.dist+repCount)
		}
		s.literalRepAfter(price, m.dist, m.length, m.dist+repCount)
	}
}

// literalRepAfter tries a literal, and a match at the same distance, behind a match of length n.
// price is that of coming behind this match.
func (s *step) literalRepAfter(price, dist, n, back uint32) {
	e := s.e
	limit := min(s.avail, n+1+e.finder.nice)
	if n+1 >= limit {
		return
	}
	earlier := s.at - dist - 1
	n2 := matchLength(e.buf, earlier, s.at, n+1, limit) - n - 1
	if n2 < minMatch {
		return
	}
	state, posState := s.state.afterDist(back), (s.pos+n)&e.posMask
	price += price0(e.isMatch[state][posState]) + e.literalPrice(s.pos+n, e.buf[s.at+n-1], true,
		e.buf[earlier+n], e.buf[s.at+n])
	price += e.nextRep0Price(n2, state.afterLiteral(), (posState+1)&e.posMask)
	to := s.cur + n + 1 + n2
	s.end = e.extend(s.end, to)
	if w := &e.ways[to]; price < w.price {
		w.set(price, s.cur+n+1, 0)
		w.literal, w.match, w.from2, w.back2 = true, true, s.cur, back
	}
}
