package xzutils

import "math/bits"

const (
	minMatch = 2
	maxMatch = 273

	states     = 12
	posStates  = 1 << 4
	repCount   = 4
	literalMax = 1 << 4

	// literalSize is the number of probabilities for the literals of one context: of a literal
	// without a matched byte, and with one whose bit is 0 or 1.
	literalSize = 0x300

	distStates     = 4
	distSlotBits   = 6
	distSlots      = 1 << distSlotBits
	distModelStart = 4 // from this slot on a distance has further bits
	distModelEnd   = 14
	fullDists      = 1 << (distModelEnd / 2)
	alignBits      = 4
	alignSize      = 1 << alignBits
)

// state tells which kinds of symbols came last.
type state uint8

const (
	stateLiteralLast  = 7 // states below say that a literal was last
	stateMatch        = 7
	stateRep          = 8
	stateShortRep     = 9
	stateMatchAgain   = 10
	stateRepAgain     = 11
	stateThreeLiteral = 3 // the highest state that a literal makes 0
)

func (s state) literal() bool { return s < stateLiteralLast }

func (s state) afterLiteral() state {
	switch {
	case s <= stateThreeLiteral:
		return 0
	case s <= stateShortRep:
		return s - 3
	}
	return s - 6
}

func (s state) after(first, again state) state {
	if s.literal() {
		return first
	}
	return again
}

func (s state) afterMatch() state    { return s.after(stateMatch, stateMatchAgain) }
func (s state) afterRep() state      { return s.after(stateRep, stateRepAgain) }
func (s state) afterShortRep() state { return s.after(stateShortRep, stateRepAgain) }

// afterDist is the state after a match at a distance or a repeated one.
func (s state) afterDist(back uint32) state {
	if back < repCount {
		return s.afterRep()
	}
	return s.afterMatch()
}

// distState gives the set of probabilities for the distance of a match of this length.
func distState(length uint32) uint32 { return min(length-minMatch, distStates-1) }

// distSlotOf gives the slot of a distance: its highest two bits and how many there are below.
func distSlotOf(dist uint32) uint32 {
	if dist < distModelStart {
		return dist
	}
	n := uint32(bits.Len32(dist)) - 1
	return 2*n + dist>>(n-1)&1
}

// literalBack is the distance that stands for a literal. Other distances below repCount mean one of
// the latest ones, and others a distance plus repCount.
const literalBack = 1<<32 - 1

// model holds the probabilities.
type model struct {
	literals    [literalMax * literalSize]prob
	isMatch     [states][posStates]prob
	isRep       [states]prob
	isRep0      [states]prob
	isRep1      [states]prob
	isRep2      [states]prob
	isRep0Long  [states][posStates]prob
	distSlot    [distStates][distSlots]prob
	distSpecial [fullDists - distModelEnd]prob
	align       [alignSize]prob

	matchLengths, repLengths lengths
}

func (m *model) reset(o options) {
	halve(m.literals[:literalSize<<(o.lc+o.lp)])
	for i := range m.isMatch {
		halve(m.isMatch[i][:])
		halve(m.isRep0Long[i][:])
	}
	for _, p := range [][]prob{m.isRep[:], m.isRep0[:], m.isRep1[:], m.isRep2[:],
		m.distSpecial[:], m.align[:]} {
		halve(p)
	}
	for i := range m.distSlot {
		halve(m.distSlot[i][:])
	}
	m.matchLengths.reset(o)
	m.repLengths.reset(o)
}

func halve(probs []prob) {
	for i := range probs {
		probs[i] = probHalf
	}
}

// encoder makes LZMA of one block. Its decisions and prices are those of liblzma.
type encoder struct {
	*finder
	options
	rc rangeCoder
	model
	prices      prices
	state       state
	reps        [repCount]uint32 // the latest distances, less one
	posMask     uint32
	literalMask uint32
	started     bool   // the first byte is coded
	coded       uint32 // bytes coded, for the low bits of positions
	longest     uint32 // what the last find gave

	parser
}

// resetState forgets probabilities and distances, as a chunk demands that follows one that is not
// compressed.
func (e *encoder) resetState() {
	e.rc.reset()
	e.model.reset(e.options)
	e.state, e.reps = 0, [repCount]uint32{}
	e.prices.matchCount, e.prices.alignCount = 1<<30, 1<<30
	e.current, e.end = 0, 0
}

// literalProbs gives the probabilities of a literal at a position behind a byte.
func (e *encoder) literalProbs(pos uint32, prev byte) *[literalSize]prob {
	at := (pos<<8 + uint32(prev)) & e.literalMask << e.lc * 3
	return (*[literalSize]prob)(e.literals[at:])
}

// symbol codes a literal or a match of the bytes that come next.
func (e *encoder) symbol(back, length uint32) {
	posState := e.coded & e.posMask
	isMatch := &e.isMatch[e.state][posState]
	switch {
	case back == literalBack:
		e.rc.bit(isMatch, 0)
		e.literal()
	case back < repCount:
		e.rc.bit(isMatch, 1)
		e.rc.bit(&e.isRep[e.state], 1)
		e.rep(back, length, posState)
	default:
		e.rc.bit(isMatch, 1)
		e.rc.bit(&e.isRep[e.state], 0)
		e.match(back-repCount, length, posState)
	}
	e.ahead -= length
	e.coded += length
}

func (e *encoder) literal() {
	at := e.pos - e.ahead
	b := e.buf[at]
	probs := e.literalProbs(e.coded, e.buf[at-1])
	matched := !e.state.literal()
	e.state = e.state.afterLiteral()
	if !matched {
		e.rc.tree(probs[:], 8, uint32(b))
		return
	}
	offset, symbol, match := uint32(0x100), uint32(b)|0x100, uint32(e.buf[at-e.reps[0]-1])
	for symbol < 1<<16 {
		match <<= 1
		at := offset + match&offset + symbol>>8
		e.rc.bit(&probs[at%literalSize], symbol>>7&1)
		symbol <<= 1
		offset &^= match ^ symbol
	}
}

func (e *encoder) match(dist, length, posState uint32) {
	e.state = e.state.afterMatch()
	e.matchLengths.code(&e.rc, length, posState)
	slot := distSlotOf(dist)
	e.rc.tree(e.distSlot[distState(length)][:], distSlotBits, slot)
	if slot >= distModelStart {
		footer := slot>>1 - 1
		base := (2 | slot&1) << footer
		if slot < distModelEnd {
			e.rc.reverseTree(e.distSpecial[base-slot:], footer, dist-base)
		} else {
			e.rc.direct((dist-base)>>alignBits, footer-alignBits)
			e.rc.reverseTree(e.align[1:], alignBits, dist&(alignSize-1))
			e.prices.alignCount++
		}
	}
	e.reps = [repCount]uint32{dist, e.reps[0], e.reps[1], e.reps[2]}
	e.prices.matchCount++
}

func (e *encoder) rep(rep, length, posState uint32) {
	s := e.state
	if rep == 0 {
		e.rc.bit(&e.isRep0[s], 0)
		long := uint32(1)
		if length == 1 {
			long = 0
		}
		e.rc.bit(&e.isRep0Long[s][posState], long)
	} else {
		e.rc.bit(&e.isRep0[s], 1)
		if rep == 1 {
			e.rc.bit(&e.isRep1[s], 0)
		} else {
			e.rc.bit(&e.isRep1[s], 1)
			e.rc.bit(&e.isRep2[s], rep-2)
		}
		dist := e.reps[rep]
		copy(e.reps[1:rep+1], e.reps[:rep])
		e.reps[0] = dist
	}
	if length == 1 {
		e.state = s.afterShortRep()
		return
	}
	e.repLengths.code(&e.rc, length, posState)
	e.state = s.afterRep()
}
