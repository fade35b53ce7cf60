package transform

import (
	"cmp"
	"slices"
)

// A kernel's BTF is whole: all types and names that it refers to are its own. The order of types
// changes from build to build. So a reference becomes a token: for a type with a name that of kind
// and name, else a hash of all that the type's description says, in which references are tokens
// already.
//
//	0                      as it is: no type, no name
//	name                   as btf.forwardNames has it
//	type with a name       btfLocal | btfNamed | token
//	type without a name    btfLocal | hash
//	one whose hash is not the only one of its kind: its number
const (
	hashLevels = 32 // most types without names from which each refers to the next
	hashRounds = 8
)

// kernelNamed gives tokens to the types with names, which must have their original form.
func (t *btf) kernelNamed() *tokens {
	named := newTokens(t.count)
	first, kind := false, uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case word == 'h':
			kind, first = v>>24&31, true
		case word == 'n' && first:
			first = false
			if v != 0 {
				named.add(kind*0x9e3779b1^t.hashOf(v), btfNamed-1)
			} else {
				named.skip()
			}
		}
	})
	return named
}

// hashOf gives a hash of a name; of one of the kernel's that is its number.
func (t *btf) hashOf(name uint32) uint32 {
	if name < t.firstName {
		return name * 0x85ebca6b
	}
	return hashName(stringAt(t.strings, name-t.firstName))
}

// hashes calls visit with the hash of each type without a name. word gives the word for a
// reference. Types for one of whose references it has none are left out, and those for which skip
// is true.
func (t *btf) hashes(skip func(n int) bool, word func(v uint32) (uint32, bool),
	visit func(n int, hash uint32)) {
	last, hash, left, first := -1, uint64(0), true, false
	end := func() {
		if last >= 0 && !left {
			visit(last, uint32(hash^hash>>32)&(btfNamed-1))
		}
	}
	t.walk(func(n int, kind byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case kind == 'h':
			end()
			last, hash, left, first = n, 0, skip(n), true
		case left:
			return
		case kind == 'n':
			if first && v != 0 {
				left = true
				return
			}
			first = false
			v = t.hashOf(v)
		case kind == 't' && v != 0:
			w, ok := word(v)
			v, left = w, !ok
		}
		hash = (hash ^ uint64(v)) * 0x9e3779b97f4a7c15
		hash ^= hash >> 29
	})
	end()
}

// kernelTypes finds the words that stand for types, by their number less 1. For a word of 0 the
// number stands. The types must have their original form.
func (t *btf) kernelTypes() []uint32 {
	named := t.kernelNamed()
	words := make([]uint32, t.count)
	banned := map[uint32]bool{}
	for range hashRounds {
		for n, token := range named.of {
			words[n] = 0
			if token != 0 {
				words[n] = btfLocal | btfNamed | token
			}
		}
		if !t.hashTypes(words, banned) {
			return words
		}
	}
	return nil
}

// hashTypes sets the words of types without names whose hashes are not banned. It bans those that
// several types have, and tells whether it did.
func (t *btf) hashTypes(words []uint32, banned map[uint32]bool) (more bool) {
	word := func(v uint32) (uint32, bool) {
		own := v - t.firstType
		if v < t.firstType {
			return v, true
		} else if int64(own) >= int64(len(words)) {
			return 0, false
		}
		return words[own], words[own] != 0
	}
	has := func(n int) bool { return words[n] != 0 }
	for range hashLevels {
		found := false
		t.hashes(has, word, func(n int, hash uint32) {
			if !banned[hash] {
				words[n], found = btfLocal|hash, true
			}
		})
		if !found {
			break
		}
	}
	all := slices.Clone(words)
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] && all[i]&btfNamed == 0 && all[i] != 0 {
			banned[all[i]&^btfLocal], more = true, true
		}
	}
	return more
}

// forwardKernel rewrites the types.
func (t *btf) forwardKernel() bool { return t.forwardHashed(&btfBase{firstType: 1}) }

func (t *btf) forwardHashed(base *btfBase) bool {
	t.firstType, t.firstName = base.firstType, base.firstName
	words := t.kernelTypes()
	if words == nil {
		return false
	}
	ok, last := true, uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case word == 'h':
			last = 0
		case word == 'o':
			le.PutUint32(p, v-last)
			last = v
		case word == 't' && v != 0:
			own := v - t.firstType
			if v >= t.firstType && int64(own) < int64(len(words)) && words[own] != 0 {
				v = words[own]
			} else {
				ok = ok && v < btfLocal
			}
			le.PutUint32(p, v)
		}
	})
	return ok && t.forwardNames(base)
}

// inverseKernel rewrites the types back.
func (t *btf) inverseKernel() bool { return t.inverseHashed(&btfBase{firstType: 1}) }

func (t *btf) inverseHashed(base *btfBase) bool {
	t.firstType, t.firstName = base.firstType, base.firstName
	if !t.inverseNames(base) {
		return false
	}
	t.sumOffsets()
	number := t.kernelNumbers()
	ok := true
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		if word == 't' && v >= btfLocal {
			n, known := number(v)
			ok = ok && known
			le.PutUint32(p, n)
		}
	})
	return ok
}

// sumOffsets undoes that the offset of a member is one less the previous.
func (t *btf) sumOffsets() {
	last := uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		switch word {
		case 'h':
			last = 0
		case 'o':
			last += le.Uint32(p)
			le.PutUint32(p, last)
		}
	})
}

// kernelNumbers gives a function from words to numbers of types. Only references must be rewritten.
func (t *btf) kernelNumbers() func(word uint32) (n uint32, ok bool) {
	named := t.kernelNamed()
	var unnamed []kernelSymbol // numbers as addresses
	t.hashes(func(int) bool { return false }, func(v uint32) (uint32, bool) {
		return v, v >= btfLocal || v < t.firstType
	}, func(n int, hash uint32) {
		unnamed = append(unnamed, kernelSymbol{hash: hash, addr: uint32(n)})
	})
	slices.SortStableFunc(unnamed, func(a, b kernelSymbol) int { return cmp.Compare(a.hash, b.hash) })
	return func(word uint32) (uint32, bool) {
		if word&btfNamed != 0 {
			n, ok := named.index[word&(btfNamed-1)]
			return n + t.firstType, ok
		}
		i, ok := slices.BinarySearchFunc(unnamed, word&(btfNamed-1),
			func(h kernelSymbol, hash uint32) int { return cmp.Compare(h.hash, hash) })
		if !ok {
			return 0, false
		}
		return unnamed[i].addr + t.firstType, true
	}
}
