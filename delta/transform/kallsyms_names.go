package transform

import "bytes"

// The tokens of a kernel's names are pairs of other tokens, found by how often they occur (Linux,
// scripts/kallsyms.c). Few new names change many tokens, and with them most of the names. So names
// are stored expanded, and made again by merging the same pairs.

// nameText is the names of all symbols, and how they are compressed.
type nameText struct {
	text  []byte // each name with its type before it and a zero behind
	pairs [kallsymsTokens][2]byte
	merge [kallsymsTokens]bool // which tokens are pairs
}

const (
	nameTextMax  = 8 << 20 // bytes of the text
	nameTextSize = 2*kallsymsTokens + kallsymsTokens/8
)

// expand expands the names of b. ok is false when compress does not give the same bytes.
func (k *kallsyms) expand(b []byte) (t *nameText, ok bool) {
	tokens := k.tokensOf(b)
	size := 0
	k.each(b, len(b), func(_, _ int, name []byte) {
		for _, c := range name {
			size += len(tokens[c])
		}
	})
	if size += int(k.count); size > nameTextMax {
		return nil, false
	}
	t = &nameText{text: make([]byte, 0, size)}
	clean := true
	k.each(b, len(b), func(_, _ int, name []byte) {
		for _, c := range name {
			t.text = append(t.text, tokens[c]...)
			clean = clean && len(tokens[c]) > 0
		}
		t.text = append(t.text, 0)
	})
	if !clean {
		return nil, false
	}
	n := t.findPairs(&tokens)
	same := true
	k.each(b, len(b), func(i, _ int, name []byte) { same = same && bytes.Equal(name, n.name(i)) })
	return t, same
}

// findPairs finds the pair of each token, and gives the names compressed. Where several pairs make
// up a token, the one that occurs most is it.
func (t *nameText) findPairs(tokens *[kallsymsTokens][]byte) *coded {
	n := newCoded(t.text)
	known := map[string][]byte{}
	for i, s := range tokens {
		if len(s) == 1 && s[0] == byte(i) {
			known[string(s)] = []byte{byte(i)}
		}
	}
	for i := kallsymsTokens - 1; i >= 0; i-- {
		s := string(tokens[i])
		if len(s) < 2 {
			continue
		}
		most := -1
		for cut := 1; cut < len(s); cut++ {
			for _, x := range known[s[:cut]] {
				for _, y := range known[s[cut:]] {
					if times := n.occurs(x, y); times > most {
						most, t.pairs[i] = times, [2]byte{x, y}
					}
				}
			}
		}
		if most >= 0 {
			t.merge[i] = true
			n.merge(t.pairs[i], byte(i))
		}
		known[s] = append(known[s], byte(i))
	}
	return n
}

// compress compresses the names.
func (t *nameText) compress() *coded {
	n := newCoded(t.text)
	for i := kallsymsTokens - 1; i >= 0; i-- {
		if t.merge[i] {
			n.merge(t.pairs[i], byte(i))
		}
	}
	return n
}

// coded is names as tokens.
type coded struct {
	codes []byte
	ends  []uint32
}

func newCoded(text []byte) *coded {
	n := &coded{codes: make([]byte, 0, len(text))}
	n.ends = make([]uint32, 0, bytes.Count(text, []byte{0}))
	for _, c := range text {
		if c == 0 {
			n.ends = append(n.ends, uint32(len(n.codes)))
		} else {
			n.codes = append(n.codes, c)
		}
	}
	return n
}

// name gives the tokens of name i, which is empty when there are not so many.
func (n *coded) name(i int) []byte {
	begin := uint32(0)
	switch {
	case i >= len(n.ends):
		return nil
	case i > 0:
		begin = n.ends[i-1]
	}
	return n.codes[begin:n.ends[i]]
}

// occurs counts a pair.
func (n *coded) occurs(x, y byte) (times int) {
	for i := range n.ends {
		for p := n.name(i); len(p) > 1; p = p[1:] {
			if p[0] == x && p[1] == y {
				times++
			}
		}
	}
	return times
}

// merge replaces a pair by a token.
func (n *coded) merge(pair [2]byte, by byte) {
	to, begin := 0, uint32(0)
	for i, end := range n.ends {
		for at := begin; at < end; at++ {
			c := n.codes[at]
			if c == pair[0] && at+1 < end && n.codes[at+1] == pair[1] {
				c = by
				at++
			}
			n.codes[to] = c
			to++
		}
		begin, n.ends[i] = end, uint32(to)
	}
	n.codes = n.codes[:to]
}

// put writes the names where they lie in b. ok is false when they don't fill the place of size
// bytes there, or are too many or too long.
func (k *kallsyms) put(b []byte, n *coded) (ok bool) {
	const short, most = 0x80, 0x8000
	p := b[k.names : k.names+k.size]
	if len(n.ends) != int(k.count) {
		return false
	}
	for i := range n.ends {
		name := n.name(i)
		if len(name) >= most || len(p) < len(name)+2 && len(p) != len(name)+1 {
			return false
		}
		if len(name) < short {
			p[0] = byte(len(name))
			p = p[1:]
		} else {
			p[0], p[1] = byte(len(name)%short|short), byte(len(name)/short)
			p = p[2:]
		}
		if len(name) > len(p) {
			return false
		}
		p = p[copy(p, name):]
	}
	return len(p) == 0
}

// append appends the pairs to b, and which tokens are pairs, a bit each.
func (t *nameText) append(b []byte) []byte {
	for _, p := range t.pairs {
		b = append(b, p[0], p[1])
	}
	var bits [kallsymsTokens / 8]byte
	for i, m := range t.merge {
		if m {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return append(b, bits[:]...)
}

// read reads what append has appended.
func (t *nameText) read(b []byte) {
	for i := range t.pairs {
		t.pairs[i] = [2]byte{b[2*i], b[2*i+1]}
		t.merge[i] = b[2*kallsymsTokens+i/8]>>(i%8)&1 != 0
	}
}
