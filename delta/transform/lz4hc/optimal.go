package lz4hc

// pathSize is how many bytes a search for the cheapest sequences spans.
const pathSize = 1 << 12

// step says how the bytes up to a place in a path are written most cheaply, as far as is known:
// with a match that ends there, or with literals at the end.
type step struct {
	price    int // in bytes
	length   int // of the match; 1: a literal
	distance int // of the match
	literals int // literals at the end, or before the match
}

// path has a step for each place from the first match on, and for literals at its end.
type path [pathSize + trailing]step

// trailing is how many literals behind the last match have a price.
const trailing = 3

// literalsPrice gives what literals cost beside the first byte of their sequence.
func literalsPrice(n int) int {
	if n >= inToken {
		return n + 1 + (n-inToken)/255
	}
	return n
}

// price gives what a sequence costs.
func price(literals, match int) int {
	n := 1 + 2 + literalsPrice(literals)
	if long := inToken + minMatch; match >= long {
		n += 1 + (match-long)/255
	}
	return n
}

// cheapest writes the block's sequences as levels 10 to 12 do.
func (e *encoder) cheapest() {
	for at := 0; at <= e.last; {
		m := e.longer(at, minMatch-1)
		switch {
		case m.length == 0:
			at++
		case m.length > e.enough:
			e.sequence(m)
			at = e.literals
		default:
			at = e.explore(at, m)
		}
	}
}

// explore writes the cheapest sequences from a match on, and gives the position behind them. The
// path ends where no match goes on.
func (e *encoder) explore(at int, m match) int {
	p := &e.path
	p.begin(at-e.literals, m)
	last := m.length
	p.trail(last)
	for i := 1; i < last && at+i <= e.last; i++ {
		if !e.worthSearch(i) {
			continue
		}
		longest := last - i
		if e.thorough {
			longest = minMatch - 1
		}
		m := e.longer(at+i, longest)
		if m.length == 0 {
			continue
		}
		if m.length > e.enough || i+m.length >= pathSize {
			return e.follow(at, i, i+1, m.length, m.start-m.from)
		}
		last = p.add(i, last, m)
		p.trail(last)
	}
	end := p[last]
	return e.follow(at, last-end.length, last, end.length, end.distance)
}

// worthSearch tells whether a match at a place can make it cheaper.
func (e *encoder) worthSearch(i int) bool {
	here, next := e.path[i].price, e.path[i+1].price
	if next > here {
		return true
	}
	return e.thorough && e.path[i+minMatch].price >= here+3
}

// begin sets the steps of literals and of the first match.
func (p *path) begin(literals int, m match) {
	for i := range minMatch {
		p[i] = step{price: literalsPrice(literals + i), length: 1, literals: literals + i}
	}
	for n := minMatch; n <= m.length; n++ {
		p[n] = step{price(literals, n), n, m.start - m.from, literals}
	}
}

// trail sets the steps of literals behind the last match.
func (p *path) trail(last int) {
	for n := 1; n <= trailing; n++ {
		p[last+n] = step{price: p[last].price + literalsPrice(n), length: 1, literals: n}
	}
}

// add enters a match at place i, where it makes steps cheaper, and gives the last match's end.
func (p *path) add(i, last int, m match) int {
	here := p[i]
	for n := 1; n < minMatch; n++ {
		literals := here.literals + n
		cost := here.price - literalsPrice(here.literals) + literalsPrice(literals)
		if cost < p[i+n].price {
			p[i+n] = step{price: cost, length: 1, literals: literals}
		}
	}
	literals, base := 0, here.price
	if here.length == 1 {
		literals, base = here.literals, 0
		if i > literals {
			base = p[i-literals].price
		}
	}
	for n := minMatch; n <= m.length; n++ {
		cost := base + price(literals, n)
		if i+n > last+trailing || cost <= p[i+n].price {
			if n == m.length {
				last = max(last, i+n)
			}
			p[i+n] = step{cost, n, m.start - m.from, literals}
		}
	}
	return last
}

// follow writes the path that ends with a match at place i, as far as a place end behind that, and
// gives the position behind it.
func (e *encoder) follow(at, i, end, length, distance int) int {
	p := &e.path
	for { // turn the steps around: each then has what begins there
		s := &p[i]
		s.length, length = length, s.length
		s.distance, distance = distance, s.distance
		if length > i {
			break
		}
		i -= length
	}
	for i := 0; i < end; {
		s := p[i]
		if s.length > 1 {
			e.sequence(match{at, at - s.distance, s.length})
		}
		i += s.length
		at += s.length
	}
	return at
}
