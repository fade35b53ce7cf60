package lzmaparse

import (
	"math/bits"

	"deltaup/delta/transform/parsestep"
)

const (
	states       = 12
	posStates    = 1 << 4
	literalSize  = 0x300 // probabilities of the literals of one context
	literalSets  = 1 << 4
	distStates   = 4
	slotBits     = 6
	slotModel    = 4  // from this slot on a distance has more bits
	slotDirect   = 14 // and from this one on bits with even probabilities
	specialBits  = 1<<(slotDirect/2) - slotDirect
	alignBits    = 4
	lengthBits   = 3 // of short lengths and of those behind them
	longBits     = 8
	literalState = 7 // states below tell that a literal was last
)

// properties are lc, lp and pb as a chunk's header codes them.
type properties byte

func (p properties) parts() (lc, lp, pb uint32) {
	return uint32(p % 9), uint32(p / 9 % 5), uint32(p / 45)
}

func (p properties) valid() bool {
	lc, lp, pb := p.parts()
	return lc+lp <= 4 && pb <= 4
}

// lengths codes the lengths of matches.
type lengths struct {
	choice, choice2 prob
	low, mid        [posStates][1 << lengthBits]prob
	high            [1 << longBits]prob
}

func (l *lengths) reset() {
	l.choice, l.choice2 = probHalf, probHalf
	for i := range l.low {
		halve(l.low[i][:])
		halve(l.mid[i][:])
	}
	halve(l.high[:])
}

func (l *lengths) code(r *rangeCoder, length int, posState uint32) int {
	const step = 1 << lengthBits
	n := uint32(length - matchMin)
	switch {
	case r.bit(&l.choice, parsestep.Truth(n >= step)) == 0:
		n = r.tree(l.low[posState][:], lengthBits, n)
	case r.bit(&l.choice2, parsestep.Truth(n >= 2*step)) == 0:
		n = step + r.tree(l.mid[posState][:], lengthBits, n-step)
	default:
		n = 2*step + r.tree(l.high[:], longBits, n-2*step)
	}
	return int(n) + matchMin
}

func halve(probs []prob) {
	for i := range probs {
		probs[i] = probHalf
	}
}

// lzma codes the symbols of a content, in both directions.
type lzma struct {
	rangeCoder
	content []byte // a reader writes it
	at      int    // bytes of it that are coded

	props                properties
	known                bool // there are properties
	lc                   uint32
	literalMask, posMask uint32
	state                uint8
	last                 repeats

	literals     [literalSets * literalSize]prob
	isMatch      [states][posStates]prob
	isRepeat     [states]prob
	isOther      [3][states]prob // not the last distance, nor the one before, nor the third
	isLong       [states][posStates]prob
	slots        [distStates][1 << slotBits]prob
	special      [specialBits]prob
	align        [1 << alignBits]prob
	matchLengths lengths
	againLengths lengths
}

// reset forgets probabilities and distances, as a chunk may demand.
func (l *lzma) reset(p properties) {
	lc, lp, pb := p.parts()
	l.lc, l.posMask, l.literalMask = lc, 1<<pb-1, 0x100<<lp-0x100>>lc
	l.state, l.last = 0, repeats{}
	halve(l.literals[:literalSize<<(lc+lp)])
	for i := range l.isMatch {
		halve(l.isMatch[i][:])
		halve(l.isLong[i][:])
	}
	halve(l.isRepeat[:])
	for i := range l.isOther {
		halve(l.isOther[i][:])
	}
	for i := range l.slots {
		halve(l.slots[i][:])
	}
	halve(l.special[:])
	halve(l.align[:])
	l.matchLengths.reset()
	l.againLengths.reset()
}

// symbol codes one. It is false when it does not fit in the content before end, or has no source
// there.
func (l *lzma) symbol(s symbol, end int) (_ symbol, ok bool) {
	if l.at >= end {
		return s, false
	}
	posState := uint32(l.at) & l.posMask
	if l.bit(&l.isMatch[l.state][posState], parsestep.Truth(s.length > 0)) == 0 {
		l.literal()
		l.at++
		return symbol{}, true
	}
	if l.bit(&l.isRepeat[l.state], parsestep.Truth(s.back < repeatCount)) == 0 {
		s = l.match(s, posState)
	} else {
		s = l.again(s, posState)
	}
	d := l.last.take(s.back)
	if s.length > end-l.at || int64(d) >= int64(l.at) {
		return s, false
	}
	if l.reading {
		to, from := l.content[l.at:l.at+s.length], l.content[l.at-int(d)-1:]
		if d+1 >= uint32(s.length) {
			copy(to, from)
		} else {
			for i := range to {
				to[i] = from[i]
			}
		}
	}
	l.at += s.length
	return s, true
}

// after gives the state behind a match: literal if a literal was before, else again.
func (l *lzma) after(literal, again uint8) uint8 {
	if l.state < literalState {
		return literal
	}
	return again
}

func (l *lzma) literal() {
	before := byte(0)
	if l.at > 0 {
		before = l.content[l.at-1]
	}
	context := (uint32(l.at)<<8 + uint32(before)) & l.literalMask << l.lc * 3
	probs := (*[literalSize]prob)(l.literals[context:])
	b := &l.content[l.at]
	if l.state < literalState {
		*b = byte(l.tree(probs[:0x100], 8, uint32(*b)))
		l.state -= min(l.state, 3)
		return
	}
	match := uint32(l.content[l.at-int(l.last[0])-1])
	offset, node := uint32(0x100), uint32(1)
	for i := 7; i >= 0; i-- {
		match <<= 1
		bit := l.bit(&probs[offset+match&offset+node], uint32(*b)>>i&1)
		node = node<<1 | bit
		if bit == 0 {
			offset &^= match
		} else {
			offset &= match
		}
	}
	*b = byte(node)
	if l.state < 10 {
		l.state -= 3
	} else {
		l.state -= 6
	}
}

func (l *lzma) match(s symbol, posState uint32) symbol {
	l.state = l.after(7, 10)
	s.length = l.matchLengths.code(&l.rangeCoder, s.length, posState)
	d := s.back - repeatCount
	slot := l.tree(l.slots[min(s.length-matchMin, distStates-1)][:], slotBits, slotOf(d))
	if slot < slotModel {
		s.back = slot + repeatCount
		return s
	}
	n := slot>>1 - 1
	base := (2 | slot&1) << n
	if slot < slotDirect {
		d = base + l.reverseTree(l.special[base-slot:], n, d-base)
	} else {
		high := l.direct((d-base)>>alignBits, n-alignBits)
		d = base + high<<alignBits + l.reverseTree(l.align[1:], alignBits, d&(1<<alignBits-1))
	}
	s.back = min(d, contentMax) + repeatCount // beyond it there is no source anyway
	return s
}

// slotOf gives the slot of a distance less one: its highest two bits and how many there are below.
func slotOf(d uint32) uint32 {
	if d < slotModel {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1
}

// again codes a match of one of the latest distances.
func (l *lzma) again(s symbol, posState uint32) symbol {
	state, back := l.state, uint32(0)
	for i := range l.isOther {
		if l.bit(&l.isOther[i][state], parsestep.Truth(s.back > back)) == 0 {
			break
		}
		back++
	}
	s.back = back
	if back == 0 && l.bit(&l.isLong[state][posState], parsestep.Truth(s.length > 1)) == 0 {
		l.state, s.length = l.after(9, 11), 1
		return s
	}
	l.state = l.after(8, 11)
	s.length = l.againLengths.code(&l.rangeCoder, s.length, posState)
	return s
}
