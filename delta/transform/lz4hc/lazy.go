package lz4hc

// longCut is the longest match before a better one that overlaps it: its length has no rest.
const longCut = inToken - 1 + minMatch

// lazy writes the block's sequences as levels 3 to 9 do.
func (e *encoder) lazy() {
	for at := 0; at <= e.last; {
		m := e.longer(at, minMatch-1)
		if m.length == 0 {
			at++
			continue
		}
		e.improve(m)
		at = e.literals
	}
}

// overlapping looks for a match that contains the byte so far before the end of m, begins at the
// start of m or behind it and is longer.
func (e *encoder) overlapping(m match, before int) match {
	if m.end() > e.last {
		return match{}
	}
	return e.wider(m.end()-before, m.start, m.length)
}

// improve writes a match, or better ones in its place.
func (e *encoder) improve(one match) {
	first := one // what one may be given up for, when that was too much
	for {
		two := e.overlapping(one, 2)
		if two.length == 0 {
			e.sequence(one)
			return
		}
		if first.start < one.start && two.start < one.start+first.length {
			one = first
		}
		if two.start-one.start < 3 {
			one = two
			continue
		}
		var again bool
		if one, first, again = e.third(one, two); !again {
			return
		}
	}
}

// third writes two matches of which the second is longer and may overlap the first. As long as
// there is a third that overlaps the second and is longer, it writes the first alone. When that
// leaves one match it gives that, and the one that it may be given up for, to be improved again.
func (e *encoder) third(one, two match) (next, first match, again bool) {
	for {
		if two.start-one.start < longCut {
			_, two = cut(one, two)
		}
		three := e.overlapping(two, 3)
		if three.length == 0 {
			one.length = min(one.length, two.start-one.start)
			e.sequence(one)
			e.sequence(two)
			return match{}, match{}, false
		}
		if three.start < one.end() {
			two = three
			continue
		}
		if three.start < one.end()+3 { // no room for two between them
			if n := one.end() - two.start; n > 0 {
				if two = two.skip(n); two.length < minMatch {
					two = three
				}
			}
			e.sequence(one)
			return three, two, true
		}
		if two.start < one.end() {
			if two.start-one.start < longCut {
				one, two = cut(one, two)
			} else {
				one.length = two.start - one.start
			}
		}
		e.sequence(one)
		one, two = two, three
	}
}

// cut shortens one, and two at its beginning, so that they do not overlap.
func cut(one, two match) (match, match) {
	one.length = min(one.length, longCut, two.end()-minMatch-one.start)
	if n := one.end() - two.start; n > 0 {
		two = two.skip(n)
	}
	return one, two
}
