package transform

import (
	"bytes"
	"slices"
)

// guessName guesses the number of the first name of the module's own: it takes the highest name
// that a type has for the last string of the section.
func (t *btf) guessName() uint32 {
	largest := uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		if word == 'n' {
			largest = max(largest, le.Uint32(p))
		}
	})
	if len(t.strings) < 2 || t.strings[len(t.strings)-1] != 0 {
		return btfNoBase
	}
	last := uint32(bytes.LastIndexByte(t.strings[:len(t.strings)-1], 0) + 1)
	if largest < last || largest >= btfNoBase {
		return btfNoBase
	}
	return largest - last
}

// guessType guesses the number of the first type of the module's own. Functions refer to
// prototypes, so a good guess makes most of them do so. Of the guesses that come near the best in
// this, guessType takes the one that explains the other references best.
func (t *btf) guessType() uint32 {
	const functionMax, protoMax, closeMax = 64, 8192, 32
	var protos []int
	var functions, refers []uint32
	kinds := make([]uint32, 0, t.count)
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch word {
		case 'h':
			kinds = append(kinds, v>>24&31)
			if kinds[n] == btfFuncProto && len(protos) < protoMax {
				protos = append(protos, n)
			}
		case 't':
			if kinds[n] == btfFunc {
				functions = append(functions, v)
			}
			refers = append(refers, v)
		}
	})
	slices.Sort(refers)
	refers = slices.Compact(refers)
	if len(refers) == 0 || refers[len(refers)-1] >= btfNoBase ||
		int(refers[len(refers)-1]) < t.count {
		return btfNoBase
	}
	// lower, and the highest reference would lead beyond the last type
	lowest := refers[len(refers)-1] - uint32(t.count) + 1
	// If any function refers to a type of the module's own, the one with the highest reference
	// does.
	slices.Sort(functions)
	functions = functions[max(0, len(functions)-functionMax):]
	type candidate struct {
		first uint32
		votes int
	}
	var close []candidate // those with most votes, these first
	for _, n := range protos {
		if f := functions; len(f) > 0 && f[len(f)-1] >= uint32(n)+lowest {
			first := f[len(f)-1] - uint32(n)
			close = append(close, candidate{first, votes(functions, protos, first)})
			for i := len(close) - 1; i > 0 && close[i-1].votes < close[i].votes; i-- {
				close[i-1], close[i] = close[i], close[i-1]
			}
			close = close[:min(len(close), closeMax)]
		}
	}
	best, bestFit := lowest, -1
	for _, c := range close {
		if c.votes < close[0].votes-close[0].votes/8 {
			break
		}
		if fit := fit(kinds, refers, c.first); fit > bestFit || fit == bestFit && c.first < best {
			best, bestFit = c.first, fit
		}
	}
	return best
}

// votes counts the functions that refer to a prototype if the first type has the number first.
func votes(functions []uint32, protos []int, first uint32) int {
	n := 0
	for _, f := range functions {
		if _, found := slices.BinarySearch(protos, int(f)-int(first)); found {
			n++
		}
	}
	return n
}

// fit counts the types that references treat as usual if the first type has the number first:
// nothing refers to functions and sections, and something refers to each other type.
func fit(kinds, refers []uint32, first uint32) int {
	at, _ := slices.BinarySearch(refers, first)
	refers = refers[at:]
	n := 0
	for i, kind := range kinds {
		used := len(refers) > 0 && refers[0] == first+uint32(i)
		if used {
			refers = refers[1:]
		}
		if used != (kind == btfFunc || kind == btfDatasec) {
			n++
		}
	}
	return n
}
