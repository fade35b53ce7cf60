package transform

import (
	"bytes"
	"slices"
)

// guessName takes the largest name for the last string.
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

// guessType uses that functions refer to function prototypes: of all numbers that the
// first type may have, it takes that which makes most of them do so, or another that
// comes near and explains the other references better.
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
	lowest := refers[len(refers)-1] - uint32(t.count) + 1 // all types that are referred to exist
	// The function that refers to the highest number refers to one of the module's own types, if
	// any does.
	slices.Sort(functions)
	functions = functions[max(0, len(functions)-functionMax):]
	type candidate struct {
		first uint32
		votes int
	}
	var close []candidate
	for _, n := range protos {
		if f := functions; len(f) > 0 && f[len(f)-1] >= uint32(n)+lowest {
			first := f[len(f)-1] - uint32(n)
			close = append(close, candidate{first, votes(functions, protos, first)})
		}
	}
	slices.SortStableFunc(close, func(a, b candidate) int { return b.votes - a.votes })
	best, bestFit := lowest, -1
	for _, c := range close[:min(len(close), closeMax)] {
		if c.votes < close[0].votes-close[0].votes/8 {
			break
		}
		if fit := fit(kinds, refers, c.first); fit > bestFit || fit == bestFit && c.first < best {
			best, bestFit = c.first, fit
		}
	}
	return best
}

// votes counts the functions whose type is a prototype if the first type has that number.
func votes(functions []uint32, protos []int, first uint32) int {
	n := 0
	for _, f := range functions {
		if _, found := slices.BinarySearch(protos, int(f)-int(first)); found {
			n++
		}
	}
	return n
}

// fit counts the types that are referred to as their kind wants: functions and sections never,
// others always.
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
