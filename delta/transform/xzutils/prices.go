package xzutils

import "math/bits"

// A price is what a symbol is expected to cost, in sixteenths of a bit.
const infinitePrice = 1 << 30

const priceStep = 4 // bits of a probability that do not count for its price

// bitPrices has the price of a 0 by probability.
var bitPrices = makeBitPrices()

func makeBitPrices() (t [1 << (probBits - priceStep)]uint8) {
	for i := range t {
		w := uint32(i<<priceStep + 1<<(priceStep-1))
		count := uint32(0)
		for range 4 {
			w *= w
			count <<= 1
			if extra := bits.Len32(w) - 16; extra > 0 {
				w >>= extra
				count += uint32(extra)
			}
		}
		t[i] = uint8(probBits<<4 - 15 - count)
	}
	return t
}

func price0(p prob) uint32 { return uint32(bitPrices[p>>priceStep&127]) }
func price1(p prob) uint32 { return uint32(bitPrices[(p^(1<<probBits-1))>>priceStep&127]) }

func priceOf(p prob, bit uint32) uint32 {
	return uint32(bitPrices[(uint32(p)^-bit&(1<<probBits-1))>>priceStep&127])
}

func treePrice(probs []prob, n, symbol uint32) (price uint32) {
	for symbol += 1 << n; symbol != 1; {
		bit := symbol & 1
		symbol >>= 1
		price += priceOf(probs[symbol], bit)
	}
	return price
}

// reverseTreePrice takes probabilities that begin with that of node 1.
func reverseTreePrice(probs []prob, n, symbol uint32) (price uint32) {
	at := uint32(1)
	for range n {
		bit := symbol & 1
		symbol >>= 1
		price += priceOf(probs[at-1], bit)
		at = at<<1 | bit
	}
	return price
}

// prices are the prices of distances. They are computed again after so many matches, not whenever a
// probability changes.
type prices struct {
	slots      [distStates][distSlots]uint32
	dists      [distStates][fullDists]uint32
	align      [alignSize]uint32
	slotsUsed  uint32 // slots that distances within the dictionary have
	matchCount uint32
	alignCount uint32
}

// updatePrices computes prices again that are due.
func (e *encoder) updatePrices() {
	if e.prices.matchCount >= 1<<7 {
		e.updateDistPrices()
	}
	if e.prices.alignCount >= alignSize {
		for i := range e.prices.align {
			e.prices.align[i] = reverseTreePrice(e.align[1:], alignBits, uint32(i))
		}
		e.prices.alignCount = 0
	}
}

func (e *encoder) updateDistPrices() {
	t := &e.prices
	for state := range t.slots {
		for slot := uint32(0); slot < t.slotsUsed; slot++ {
			price := treePrice(e.distSlot[state][:], distSlotBits, slot)
			if slot >= distModelEnd {
				price += (slot>>1 - 1 - alignBits) << 4
			}
			t.slots[state][slot] = price
		}
		copy(t.dists[state][:distModelStart], t.slots[state][:])
	}
	for dist := uint32(distModelStart); dist < fullDists; dist++ {
		slot := distSlotOf(dist)
		footer := slot>>1 - 1
		base := (2 | slot&1) << footer
		price := reverseTreePrice(e.distSpecial[base-slot:], footer, dist-base)
		for state := range t.dists {
			t.dists[state][dist] = price + t.slots[state][slot]
		}
	}
	t.matchCount = 0
}

// matchPrice is that of the distance and the length of a match.
func (e *encoder) matchPrice(dist, length, posState uint32) uint32 {
	state := distState(length)
	price := e.matchLengths.price(length, posState)
	if dist < fullDists {
		return price + e.prices.dists[state][dist]
	}
	return price + e.prices.slots[state][distSlotOf(dist)&(distSlots-1)] +
		e.prices.align[dist&(alignSize-1)]
}

// literalPrice is that of a literal, matched with another byte or not.
func (e *encoder) literalPrice(pos uint32, prev byte, matched bool, other, b byte) (price uint32) {
	probs := e.literalProbs(pos, prev)
	if !matched {
		for symbol := uint32(b) | 0x100; symbol != 1; symbol >>= 1 {
			price += priceOf(probs[symbol>>1], symbol&1)
		}
		return price
	}
	offset, symbol, match := uint32(0x100), uint32(b)|0x100, uint32(other)
	for symbol < 1<<16 {
		match <<= 1
		at := offset + match&offset + symbol>>8
		price += priceOf(probs[at%literalSize], symbol>>7&1)
		symbol <<= 1
		offset &^= match ^ symbol
	}
	return price
}

// shortRepPrice is that of one byte at the latest distance.
func (e *encoder) shortRepPrice(s state, posState uint32) uint32 {
	return price0(e.isRep0[s]) + price0(e.isRep0Long[s][posState])
}

// repPrice is that of choosing one of the latest distances, without the length.
func (e *encoder) repPrice(rep uint32, s state, posState uint32) uint32 {
	if rep == 0 {
		return price0(e.isRep0[s]) + price1(e.isRep0Long[s][posState])
	}
	price := price1(e.isRep0[s])
	if rep == 1 {
		return price + price0(e.isRep1[s])
	}
	return price + price1(e.isRep1[s]) + priceOf(e.isRep2[s], rep-2)
}

// nextRep0Price is that of a match at the latest distance behind a literal.
func (e *encoder) nextRep0Price(length uint32, s state, posState uint32) uint32 {
	return price1(e.isMatch[s][posState]) + price1(e.isRep[s]) +
		e.repLengths.price(length, posState) + e.repPrice(0, s, posState)
}
