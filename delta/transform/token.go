package transform

// A token stands for a thing (a symbol, a string) by a hash of its name, so that a
// reference to it reads the same in both versions wherever the thing lies in either.
// Things with one name are told apart by their order.
type tokens struct {
	of    []uint32          // by the thing's number; never 0
	index map[uint32]uint32 // its inverse
}

func newTokens(n int) *tokens {
	return &tokens{of: make([]uint32, 0, n), index: make(map[uint32]uint32, n)}
}

// add gives the next thing a token, with the bits of mask only.
func (t *tokens) add(hash, mask uint32) {
	for hash &= mask; ; hash = (hash + 1) & mask {
		if _, taken := t.index[hash]; !taken && hash != 0 {
			break
		}
	}
	t.index[hash] = uint32(len(t.of))
	t.of = append(t.of, hash)
}

// hashName is FNV-1a over a name without the digits behind its last dot, which
// compilers count up through a file.
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
