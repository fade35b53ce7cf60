package transform

// tokens are numbers for named things, such as symbols and strings. A token is a hash of the name,
// so that a reference reads the same in two versions, wherever the thing lies in either. Of things
// with one name, later ones get the next free tokens.
type tokens struct {
	of    []uint32          // token by the thing's number; 0: it has none
	index map[uint32]uint32 // the thing's number by token
	next  map[uint32]uint32 // by taken token: where to go on looking for a free one
}

func newTokens(n int) *tokens {
	return &tokens{
		of:    make([]uint32, 0, n),
		index: make(map[uint32]uint32, n),
		next:  map[uint32]uint32{},
	}
}

// add gives the next thing a token within mask: the first free one from its hash on.
func (t *tokens) add(hash, mask uint32) {
	from := hash & mask
	free := from
	for {
		if n, seen := t.next[free]; seen {
			free = n
		} else if _, taken := t.index[free]; taken || free == 0 {
			free = (free + 1) & mask
		} else {
			break
		}
	}
	// Let the next search that comes along here go on behind free. Otherwise many things of one
	// name, or names made to collide, take quadratic time.
	for at := from; at != free; {
		n, seen := t.next[at]
		if !seen {
			n = (at + 1) & mask
		}
		t.next[at] = free
		at = n
	}
	t.index[free] = uint32(len(t.of))
	t.of = append(t.of, free)
}

// skip leaves the next thing without a token.
func (t *tokens) skip() {
	t.of = append(t.of, 0)
}

// hashName is the FNV-1a of a name. It leaves out digits behind the last dot, since compilers count
// these up through a file.
func hashName(name string) uint32 {
	end := len(name)
	for end > 0 && name[end-1] >= '0' && name[end-1] <= '9' {
		end--
	}
	if end == 0 || name[end-1] != '.' {
		end = len(name)
	}
	h := uint32(2166136261)
	for i := range end {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}
