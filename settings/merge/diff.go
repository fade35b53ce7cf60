package merge

// hunk says that a[a0:a1] is b[b0:b1] in the other version.
type hunk struct{ a0, a1, b0, b1 int }

// work bounds the steps of one comparison: some tenths of a second on a slow machine.
const work = 10_000_000

// diff compares two versions, a number for each line. It fails when that takes too long.
func diff(a, b []int32) ([]hunk, bool) {
	d := differ{changedA: make([]bool, len(a)), changedB: make([]bool, len(b)), left: work}
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	endA, endB := len(a), len(b)
	for endA > from && endB > from && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	// A line that the other version lacks has changed; without it, the rest is compared sooner.
	d.a, d.indexA = shared(a, b, from, endA, endB, d.changedA)
	d.b, d.indexB = shared(b, a, from, endB, endA, d.changedB)
	size := len(d.a) + len(d.b) + 3
	d.forward, d.backward = make([]int, size), make([]int, size)
	if !d.compare(0, len(d.a), 0, len(d.b)) {
		return nil, false
	}
	return shift(d.hunks(), a, b), true
}

// shared gives the lines of a[from:end] that b[from:endB] has, too, with their indexes; the others
// have changed.
func shared(a, b []int32, from, end, endB int, changed []bool) (lines []int32, index []int) {
	there := make(map[int32]bool, endB-from)
	for _, line := range b[from:endB] {
		there[line] = true
	}
	for i, line := range a[from:end] {
		if there[line] {
			lines, index = append(lines, line), append(index, from+i)
		} else {
			changed[from+i] = true
		}
	}
	return lines, index
}

// differ finds a shortest edit by Myers's algorithm in linear space (An O(ND) Difference Algorithm
// and Its Variations, 1986): it looks from both ends for the middle, and then in both halves.
type differ struct {
	a, b               []int32
	indexA, indexB     []int // where the lines are in the whole versions
	changedA, changedB []bool
	// by diagonal, x-y plus an offset: how far along a one gets from either end
	forward, backward []int
	left              int // steps
}

// compare marks what has changed between a[x0:x1] and b[y0:y1].
func (d *differ) compare(x0, x1, y0, y1 int) bool {
	for x0 < x1 && y0 < y1 && d.a[x0] == d.b[y0] {
		x0, y0 = x0+1, y0+1
	}
	for x0 < x1 && y0 < y1 && d.a[x1-1] == d.b[y1-1] {
		x1, y1 = x1-1, y1-1
	}
	if x0 == x1 || y0 == y1 {
		for ; x0 < x1; x0++ {
			d.changedA[d.indexA[x0]] = true
		}
		for ; y0 < y1; y0++ {
			d.changedB[d.indexB[y0]] = true
		}
		return true
	}
	x, y, ok := d.middle(x0, x1, y0, y1)
	return ok && d.compare(x0, x, y0, y) && d.compare(x, x1, y, y1)
}

// middle finds a point that a shortest edit goes through. Neither range is empty, and they differ
// at both ends.
func (d *differ) middle(x0, x1, y0, y1 int) (x, y int, ok bool) {
	const far = int(^uint(0) >> 1)
	offset := len(d.b) + 1 // of the diagonal 0
	fw := func(k int) *int { return &d.forward[k+offset] }
	bw := func(k int) *int { return &d.backward[k+offset] }
	low, high := x0-y1, x1-y0 // the diagonals that there are
	start, end := x0-y0, x1-y1
	odd := (start-end)%2 != 0
	*fw(start), *bw(end) = x0, x1
	fLow, fHigh, bLow, bHigh := start, start, end, end
	for {
		if fLow > low {
			fLow--
			*fw(fLow - 1) = -1
		} else {
			fLow++
		}
		if fHigh < high {
			fHigh++
			*fw(fHigh + 1) = -1
		} else {
			fHigh--
		}
		for k := fHigh; k >= fLow; k -= 2 {
			x := max(*fw(k - 1)+1, *fw(k + 1))
			from := x
			for x < x1 && x-k < y1 && d.a[x] == d.b[x-k] {
				x++
			}
			*fw(k) = x
			d.left -= 1 + x - from
			if odd && bLow <= k && k <= bHigh && *bw(k) <= x {
				return x, x - k, true
			}
		}
		if bLow > low {
			bLow--
			*bw(bLow - 1) = far
		} else {
			bLow++
		}
		if bHigh < high {
			bHigh++
			*bw(bHigh + 1) = far
		} else {
			bHigh--
		}
		for k := bHigh; k >= bLow; k -= 2 {
			x := min(*bw(k - 1), *bw(k + 1)-1)
			from := x
			for x > x0 && x-k > y0 && d.a[x-1] == d.b[x-k-1] {
				x--
			}
			*bw(k) = x
			d.left -= 1 + from - x
			if !odd && fLow <= k && k <= fHigh && x <= *fw(k) {
				return x, x - k, true
			}
		}
		if d.left < 0 {
			return 0, 0, false
		}
	}
}

// hunks puts the changes together.
func (d *differ) hunks() []hunk {
	var all []hunk
	changed := func(flags []bool, i int) bool { return i < len(flags) && flags[i] }
	for x, y := 0, 0; x < len(d.changedA) || y < len(d.changedB); x, y = x+1, y+1 {
		h := hunk{x, x, y, y}
		for changed(d.changedA, h.a1) {
			h.a1++
		}
		for changed(d.changedB, h.b1) {
			h.b1++
		}
		if x, y = h.a1, h.b1; h != (hunk{x, x, y, y}) {
			all = append(all, h)
		}
	}
	return all
}

// shift moves what was only added, or only removed, as far to the end as equal lines let it, so that
// it does not depend on the way in which the edit was found. Hunks that meet become one, and one
// that can meet another does so, as diff has it.
func shift(hunks []hunk, a, b []int32) []hunk {
	var done []hunk
	for n := 0; n < len(hunks); n++ {
		h := hunks[n]
		up, down := h.room(a, b)
		// between two hunks lie as many lines of either version
		before, behind := h.a0, len(a)-h.a1
		var last, next *hunk
		if len(done) > 0 {
			last = &done[len(done)-1]
			before -= last.a1
		}
		if n+1 < len(hunks) {
			next = &hunks[n+1]
			behind = next.a0 - h.a1
		}
		switch {
		case last != nil && up >= before && last.kind() == h.kind():
			// both may go on together
			hunks[n] = hunk{last.a0, h.a1 - before, last.b0, h.b1 - before}
			done = done[:len(done)-1]
			n--
		case next != nil && down >= behind:
			*next = hunk{h.a0 + behind, next.a1, h.b0 + behind, next.b1}
		case last != nil && up >= before:
			last.a1, last.b1 = h.a1-before, h.b1-before
		default:
			by := min(down, behind)
			done = append(done, hunk{h.a0 + by, h.a1 + by, h.b0 + by, h.b1 + by})
		}
	}
	return done
}

// kind is 'a' for lines that only a has, 'b' for lines that only b has, and 0 for both.
func (h hunk) kind() byte {
	switch {
	case h.b0 == h.b1:
		return 'a'
	case h.a0 == h.a1:
		return 'b'
	}
	return 0
}

// room is how far a hunk of one kind can move to either side with the same effect.
func (h hunk) room(a, b []int32) (up, down int) {
	lines, from, to := a, h.a0, h.a1
	switch h.kind() {
	case 0:
		return 0, 0
	case 'b':
		lines, from, to = b, h.b0, h.b1
	}
	for up < from && lines[from-1-up] == lines[to-1-up] {
		up++
	}
	for to+down < len(lines) && lines[from+down] == lines[to+down] {
		down++
	}
	return up, down
}
