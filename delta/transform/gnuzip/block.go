package gnuzip

// symbol is a literal (distance 0) or a match.
type symbol struct {
	distance uint16 // of a match; 0: a literal
	value    uint8  // the literal, or the match's length less minMatch
}

// literal enters a byte and tells whether the block is full. pos is the position that the original
// programs have at that moment.
func (e *encoder) literal(c byte, pos int) bool {
	e.symbols = append(e.symbols, symbol{value: c})
	e.block.literals.freq[c]++
	return e.full(pos)
}

// match enters a match and tells whether the block is full.
func (e *encoder) match(distance, length, pos int) bool {
	s := symbol{uint16(distance), uint8(length - minMatch)}
	e.symbols = append(e.symbols, s)
	e.matches++
	e.block.literals.freq[lengthCode[s.value]+firstLength]++
	e.block.distances.freq[distanceCode(s.distance)]++
	return e.full(pos)
}

// full tells whether the block ends after the symbol just entered.
func (e *encoder) full(pos int) bool {
	if e.family == GNU && e.level > 2 && len(e.symbols)&0xfff == 0 && e.worthEnding(pos) {
		return true
	}
	return len(e.symbols) == e.blockSymbols
}

// worthEnding tells whether GNU gzip would end the block. Every 4096 symbols gzip guesses whether a
// new block with its own trees compresses better: it does so when there are few matches and the
// estimated output is below half of the input.
func (e *encoder) worthEnding(pos int) bool {
	bits := len(e.symbols) * 8
	for code, n := range e.block.distances.freq[:distanceCodes] {
		bits += int(n) * (5 + int(distanceExtra[code]))
	}
	return e.matches < len(e.symbols)/2 && bits>>3 < (pos-e.blockStart)/2
}

func (e *encoder) resetBlock() {
	e.block.reset()
	e.symbols = e.symbols[:0]
	e.matches = 0
}

const (
	stored = iota
	static
	dynamic
)

// endBlock writes the symbols entered since the last block as the shortest of the three kinds of
// blocks.
func (e *encoder) endBlock(last bool) {
	t := &e.block
	t.build()
	final := uint32(0)
	if last {
		final = 1
	}
	length := e.pos - e.blockStart
	bytes, staticBytes := (t.dynamicBits+3+7)>>3, (t.staticBits+3+7)>>3
	bytes = min(bytes, staticBytes)
	switch {
	case length+4 <= bytes && e.blockStart >= 0:
		e.out.bits(stored<<1|final, 3)
		e.out.stored(e.window[e.blockStart:e.pos])
	case staticBytes == bytes:
		e.out.bits(static<<1|final, 3)
		e.writeSymbols(&staticLiterals, &staticDistances)
	default:
		e.out.bits(dynamic<<1|final, 3)
		t.writeHeader(&e.out)
		e.writeSymbols(&t.literals.codes, &t.distances.codes)
	}
	e.resetBlock()
	e.blockStart = e.pos
}

// writeSymbols writes the block's symbols and its end with the given codes.
func (e *encoder) writeSymbols(literals, distances *codes) {
	for _, s := range e.symbols {
		if s.distance == 0 {
			e.out.code(literals[s.value])
			continue
		}
		code := lengthCode[s.value]
		e.out.code(literals[code+firstLength])
		e.out.bits(uint32(s.value)-uint32(lengthBase[code]), uint(lengthExtra[code]))
		far := s.distance - 1
		code = distanceCode(s.distance)
		e.out.code(distances[code])
		e.out.bits(uint32(far-distanceBase[code]), uint(distanceExtra[code]))
	}
	e.out.code(literals[endOfBlock])
}
