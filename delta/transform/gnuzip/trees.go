package gnuzip

// trees counts the symbols of a block and builds its codes from the counts.
type trees struct {
	literals, distances, bitLens tree

	// the last symbol of each alphabet with a code; lastBitLen counts in the header's order
	lastLiteral, lastDistance, lastBitLen int

	// bits of the block with its own codes and with fixed codes, less its first three bits
	dynamicBits, staticBits int
}

func (t *trees) reset() {
	clear(t.literals.freq[:])
	clear(t.distances.freq[:])
	clear(t.bitLens.freq[:])
	t.literals.freq[endOfBlock] = 1
	t.dynamicBits, t.staticBits = 0, 0
}

// build makes the codes of the three alphabets, dynamicBits and staticBits.
func (t *trees) build() {
	t.lastLiteral = t.buildOne(&t.literals, literalCodes, maxBits, lengthExtra[:], firstLength,
		&staticLiterals)
	t.lastDistance = t.buildOne(&t.distances, distanceCodes, maxBits, distanceExtra[:], 0,
		&staticDistances)
	count := func(symbol, _, _ int) { t.bitLens.freq[symbol]++ }
	runs(&t.literals.codes, t.lastLiteral, count)
	runs(&t.distances.codes, t.lastDistance, count)
	t.buildOne(&t.bitLens, bitLenCodes, maxBitLenBits, bitLenExtra[:], 0, nil)
	t.lastBitLen = bitLenCodes - 1
	for t.lastBitLen >= 3 && t.bitLens.codes[bitLenOrder[t.lastBitLen]].bits == 0 {
		t.lastBitLen--
	}
	t.dynamicBits += 3*(t.lastBitLen+1) + 5 + 5 + 4
}

// runs codes the code lengths of the symbols up to last, and calls emit for each symbol of the
// third alphabet with its extra bits. No run spans two alphabets.
func runs(c *codes, last int, emit func(symbol, extra, bits int)) {
	previous, count := -1, 0
	next := int(c[0].bits)
	longest, shortest := runLimits(next, -1)
	for n := 0; n <= last; n++ {
		current := next
		next = -1
		if n < last {
			next = int(c[n+1].bits)
		}
		count++
		if count < longest && current == next {
			continue
		}
		switch {
		case count < shortest:
			for range count {
				emit(current, 0, 0)
			}
		case current != 0:
			if current != previous {
				emit(current, 0, 0)
				count--
			}
			emit(16, count-3, 2)
		case count <= 10:
			emit(17, count-3, 3)
		default:
			emit(18, count-11, 7)
		}
		count, previous = 0, current
		longest, shortest = runLimits(next, current)
	}
}

// runLimits gives the longest run that one symbol codes, and the shortest that is coded as a run.
func runLimits(next, current int) (longest, shortest int) {
	switch next {
	case 0:
		return 138, 3
	case current:
		return 6, 3
	}
	return 7, 4
}

// writeHeader writes the code lengths of a dynamic block (RFC 1951, 3.2.7).
func (t *trees) writeHeader(w *bitWriter) {
	w.bits(uint32(t.lastLiteral+1-257), 5)
	w.bits(uint32(t.lastDistance+1-1), 5)
	w.bits(uint32(t.lastBitLen+1-4), 4)
	for _, n := range bitLenOrder[:t.lastBitLen+1] {
		w.bits(uint32(t.bitLens.codes[n].bits), 3)
	}
	emit := func(symbol, extra, bits int) {
		w.code(t.bitLens.codes[symbol])
		w.bits(uint32(extra), uint(bits))
	}
	runs(&t.literals.codes, t.lastLiteral, emit)
	runs(&t.distances.codes, t.lastDistance, emit)
}

// heapSize is room for all nodes of the largest alphabet's tree, counted from 1.
const heapSize = 2*literalCodes + 1

// tree is one alphabet's frequencies and the Huffman code that is built from them.
type tree struct {
	freq   [heapSize]uint16 // by symbol; behind the alphabet, by inner node
	codes  codes
	depth  [heapSize]uint8
	parent [heapSize]uint16
	length [heapSize]uint8

	// from 1 on: a heap of open nodes; from the end down: joined nodes, rarest first
	heap    [heapSize]uint16
	open    int
	ordered int
}

// buildOne makes the tree's codes, adds the bits that they take to dynamicBits and staticBits, and
// returns the last symbol in use.
func (t *trees) buildOne(r *tree, alphabet, longest int, extra []uint8, extraFrom int,
	fixed *codes) int {
	r.open, r.ordered = 0, heapSize
	last := -1
	for n := range alphabet {
		r.codes[n], r.length[n], r.depth[n] = code{}, 0, 0
		if r.freq[n] != 0 {
			r.open++
			r.heap[r.open] = uint16(n)
			last = n
		}
	}
	// Make at least two codes, which some decoders need.
	for r.open < 2 {
		n := 0
		if last < 2 {
			last++
			n = last
		}
		r.open++
		r.heap[r.open] = uint16(n)
		r.freq[n] = 1
		t.dynamicBits--
		if fixed != nil {
			t.staticBits -= int(fixed[n].bits)
		}
	}
	r.join(alphabet)
	r.limit(last, longest)
	for n := range last + 1 {
		if r.length[n] == 0 {
			continue
		}
		r.codes[n].bits = r.length[n]
		x := 0
		if n >= extraFrom {
			x = int(extra[n-extraFrom])
		}
		t.dynamicBits += int(r.freq[n]) * (int(r.length[n]) + x)
		if fixed != nil {
			t.staticBits += int(r.freq[n]) * (int(fixed[n].bits) + x)
		}
	}
	r.codes.assign(last)
	return last
}

// join makes the Huffman tree: it joins the two rarest nodes until one is left.
func (r *tree) join(alphabet int) {
	for n := r.open / 2; n >= 1; n-- {
		r.sink(n)
	}
	for node := alphabet; ; node++ {
		a := r.heap[1]
		r.heap[1] = r.heap[r.open]
		r.open--
		r.sink(1)
		b := r.heap[1]
		r.heap[r.ordered-1], r.heap[r.ordered-2] = a, b
		r.ordered -= 2
		r.freq[node] = r.freq[a] + r.freq[b]
		r.depth[node] = max(r.depth[a], r.depth[b]) + 1
		r.parent[a], r.parent[b] = uint16(node), uint16(node)
		r.heap[1] = uint16(node)
		r.sink(1)
		if r.open < 2 {
			break
		}
	}
	r.ordered--
	r.heap[r.ordered] = r.heap[1]
}

// before tells whether node a comes before b in the heap: by frequency, then by depth.
func (r *tree) before(a, b uint16) bool {
	return r.freq[a] < r.freq[b] || r.freq[a] == r.freq[b] && r.depth[a] <= r.depth[b]
}

func (r *tree) sink(at int) {
	node := r.heap[at]
	for child := 2 * at; child <= r.open; child *= 2 {
		if child < r.open && r.before(r.heap[child+1], r.heap[child]) {
			child++
		}
		if r.before(node, r.heap[child]) {
			break
		}
		r.heap[at] = r.heap[child]
		at = child
	}
	r.heap[at] = node
}

// limit sets the code lengths of the symbols up to last, none above longest.
func (r *tree) limit(last, longest int) {
	var count [maxBits + 1]int
	over := 0
	r.length[r.heap[r.ordered]] = 0
	for _, n := range r.heap[r.ordered+1:] {
		bits := int(r.length[r.parent[n]]) + 1
		if bits > longest {
			bits = longest
			over++
		}
		r.length[n] = uint8(bits)
		if int(n) <= last {
			count[bits]++
		}
	}
	if over == 0 {
		return
	}
	for ; over > 0; over -= 2 {
		bits := longest - 1
		for count[bits] == 0 {
			bits--
		}
		count[bits]--
		count[bits+1] += 2
		count[longest]--
	}
	// The rarest symbols get the longest codes.
	at := heapSize
	for bits := longest; bits > 0; bits-- {
		for n := count[bits]; n > 0; {
			at--
			if m := r.heap[at]; int(m) <= last {
				r.length[m] = uint8(bits)
				n--
			}
		}
	}
}
