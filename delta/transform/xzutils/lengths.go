package xzutils

const (
	lenLow, lenMid = 8, 8
	lenSymbols     = maxMatch - minMatch + 1
	lenHigh        = lenSymbols - lenLow - lenMid
	lenLowBits     = 3
	lenMidBits     = 3
	lenHighBits    = 8
)

// lengths codes lengths of matches and gives their prices.
type lengths struct {
	choice, choice2 prob
	low             [posStates][lenLow]prob
	mid             [posStates][lenMid]prob
	high            [lenHigh]prob

	prices   [posStates][lenSymbols]uint32
	priced   uint32 // how many lengths have prices; 0 in the fast mode
	counters [posStates]uint32
}

func (l *lengths) reset(o options) {
	l.choice, l.choice2 = probHalf, probHalf
	for i := range l.low {
		halve(l.low[i][:])
		halve(l.mid[i][:])
	}
	halve(l.high[:])
	l.priced = 0
	if o.normal {
		l.priced = uint32(o.nice) + 1 - minMatch
		for i := range uint32(1) << o.pb {
			l.updatePrices(i)
		}
	}
}

func (l *lengths) price(length, posState uint32) uint32 {
	return l.prices[posState%posStates][length-minMatch]
}

// code codes a length. Its price is computed again after every so many lengths, from the
// probabilities before this one.
func (l *lengths) code(rc *rangeCoder, length, posState uint32) {
	if l.priced > 0 {
		if l.counters[posState]--; l.counters[posState] == 0 {
			l.updatePrices(posState)
		}
	}
	n := length - minMatch
	if n < lenLow {
		rc.bit(&l.choice, 0)
		rc.tree(l.low[posState][:], lenLowBits, n)
		return
	}
	rc.bit(&l.choice, 1)
	if n -= lenLow; n < lenMid {
		rc.bit(&l.choice2, 0)
		rc.tree(l.mid[posState][:], lenMidBits, n)
		return
	}
	rc.bit(&l.choice2, 1)
	rc.tree(l.high[:], lenHighBits, n-lenMid)
}

func (l *lengths) updatePrices(posState uint32) {
	l.counters[posState] = l.priced
	prices := l.prices[posState][:l.priced]
	low := price0(l.choice)
	mid := price1(l.choice) + price0(l.choice2)
	high := price1(l.choice) + price1(l.choice2)
	for i := range prices {
		n := uint32(i)
		switch {
		case n < lenLow:
			prices[i] = low + treePrice(l.low[posState][:], lenLowBits, n)
		case n < lenLow+lenMid:
			prices[i] = mid + treePrice(l.mid[posState][:], lenMidBits, n-lenLow)
		default:
			prices[i] = high + treePrice(l.high[:], lenHighBits, n-lenLow-lenMid)
		}
	}
}
