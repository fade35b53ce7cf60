package zstdparse

import "math/bits"

// Limits of trees, RFC 8878, section 4.2.
const (
	depthMax     = 11
	weightMax    = depthMax + 1
	weightLogMax = 6
	treeSymbols  = 256
)

// tree is a Huffman code of bytes.
type tree struct {
	codes [treeSymbols]uint16
	bits  [treeSymbols]uint8 // 0: the byte has no code
}

// treeSize gives how many bytes the description of a tree has that b begins with.
func treeSize(b []byte) (size int, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	if size = 1 + int(b[0]); b[0] >= 128 {
		size = 1 + (int(b[0])-127+1)/2
	}
	return size, size <= len(b)
}

// readTree reads the description of a tree.
func readTree(b []byte) (*tree, bool) {
	size, ok := treeSize(b)
	if !ok || size != len(b) {
		return nil, false
	}
	var weights []uint8
	if b[0] < 128 {
		weights, ok = readWeights(b[1:])
	} else {
		for i := range int(b[0]) - 127 {
			weights = append(weights, b[1+i/2]>>(4*(1-i&1))&15)
		}
	}
	if !ok {
		return nil, false
	}
	return newTree(weights)
}

// readWeights reads weights that two states of one table take turns with.
func readWeights(b []byte) (weights []uint8, ok bool) {
	counts, log, size, ok := readCounts(b, weightMax, weightLogMax)
	if !ok {
		return nil, false
	}
	r, ok := newBitReader(b[size:])
	if !ok {
		return nil, false
	}
	t := newFSE(counts, log)
	state, other := r.read(log), r.read(log)
	for r.left >= 0 {
		if len(weights) > treeSymbols-2 {
			return nil, false
		}
		st := t.steps[state]
		weights = append(weights, st.symbol)
		state, other = other, uint32(st.base)+r.read(int(st.bits))
	}
	return append(weights, t.steps[state].symbol), true
}

// newTree makes the tree whose symbols have such weights; that of the last one follows from the
// others.
func newTree(weights []uint8) (*tree, bool) {
	sum := 0
	for _, w := range weights {
		if w > weightMax {
			return nil, false
		}
		sum += 1 << w >> 1
	}
	depth := bits.Len(uint(sum))
	rest := 1<<depth - sum
	if sum == 0 || depth > depthMax || rest&(rest-1) != 0 || len(weights) >= treeSymbols {
		return nil, false
	}
	weights = append(weights, uint8(bits.Len(uint(rest))))
	t, at := &tree{}, 0
	for w := 1; w <= depth; w++ {
		for s, x := range weights {
			if int(x) == w {
				t.codes[s], t.bits[s] = uint16(at>>(w-1)), uint8(depth+1-w)
				at += 1 << (w - 1)
			}
		}
	}
	return t, true
}

// append appends the stream of bits of b; false when a byte has no code.
func (t *tree) append(dst, b []byte) ([]byte, bool) {
	w := bitWriter{b: dst}
	for i := len(b) - 1; i >= 0; i-- {
		n := t.bits[b[i]]
		if n == 0 {
			return dst, false
		}
		w.add(uint32(t.codes[b[i]]), int(n))
	}
	return w.close(), true
}
