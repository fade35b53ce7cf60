package transform

import (
	"cmp"
	"slices"
)

// places gives each address of a kernel a second one, its place, that depends on the name of what
// lies there. The low half of an address is all that counts, since a kernel's upper halves are
// equal. Anything named has a place of its own size, at the hash of its name.
const (
	placeFrom   = 0x10000000 // places lie from here on
	placeTo     = 0xf0000000
	placeNear   = 0x08000000 // numbers of a smaller amount stay as they are
	placeListed = 0x0c000000 // stands for the next listed number
	placeGrain  = 256        // a place begins at a multiple of this
	placeTries  = 256
	placeLarge  = 8 << 10
	kernelSpan  = 0x10000000 // most bytes of a kernel in memory
)

// places has what begins at each address, in order.
type places struct {
	addrs  []uint32
	bases  []uint32
	sorted []uint32 // numbers of addrs, by bases
	spans  [2]span
	limits []uint32 // ends of addrs
}

// newPlaces makes the places of named things, sorted by address, in two spans of addresses.
func newPlaces(symbols []kernelSymbol, spans [2]span) (*places, bool) {
	slices.SortStableFunc(symbols, func(a, b kernelSymbol) int { return cmp.Compare(a.addr, b.addr) })
	p := &places{spans: spans}
	n := len(symbols) + 2
	p.addrs, p.limits = make([]uint32, 0, n), make([]uint32, 0, n)
	hashes := make([]uint32, 0, n)
	for _, span := range spans {
		if span.from == span.to {
			continue
		}
		i, found := slices.BinarySearchFunc(symbols, span.from,
			func(s kernelSymbol, a uint32) int { return cmp.Compare(s.addr, a) })
		at, hash := span.from, uint32(0x12345678)+span.from
		if found {
			hash = symbols[i].hash
		}
		for at < span.to {
			for i < len(symbols) && symbols[i].addr <= at {
				i++
			}
			next := span.to
			if i < len(symbols) {
				next = min(next, symbols[i].addr)
			}
			p.addrs, p.limits, hashes = append(p.addrs, at), append(p.limits, next), append(hashes, hash)
			if at = next; i < len(symbols) {
				hash = symbols[i].hash
			}
		}
	}
	distinguish(hashes)
	p.bases = make([]uint32, len(p.addrs))
	taken := make([]uint64, (placeTo-placeFrom)/placeGrain/64)
	for _, large := range []bool{true, false} {
		for i, at := range p.addrs {
			if size := p.limits[i] - at; (size >= placeLarge) == large {
				var ok bool
				if p.bases[i], ok = take(taken, hashes[i], size); !ok {
					return nil, false
				}
			}
		}
	}
	p.sorted = make([]uint32, len(p.bases))
	for i := range p.sorted {
		p.sorted[i] = uint32(i)
	}
	slices.SortFunc(p.sorted, func(a, b uint32) int { return cmp.Compare(p.bases[a], p.bases[b]) })
	return p, true
}

// distinguish mixes into the hash of a name that occurs more than once what lies before.
func distinguish(hashes []uint32) {
	twice := repeated(hashes)
	before, run, last := uint32(0), uint32(0), uint32(0)
	mixed := map[uint32]uint32{}
	for i, h := range hashes {
		if h != last {
			before, run, last = last, 0, h
		} else {
			run++
		}
		if _, ok := slices.BinarySearch(twice, h); ok {
			m := h*31 + before*0x9e3779b1 + run*0x85ebca6b
			mixed[m]++
			hashes[i] = m + (mixed[m]-1)*0xc2b2ae35
		}
	}
}

// repeated gives those that occur more than once, sorted. It takes less memory than a map of all.
func repeated(hashes []uint32) []uint32 {
	sorted := slices.Clone(hashes)
	slices.Sort(sorted)
	twice := sorted[:0]
	for i, h := range sorted {
		if i > 0 && h == sorted[i-1] && (len(twice) == 0 || twice[len(twice)-1] != h) {
			twice = append(twice, h)
		}
	}
	return twice
}

// take takes a free place of size bytes.
func take(taken []uint64, hash, size uint32) (uint32, bool) {
	grains := (size + placeGrain - 1) / placeGrain
	all := uint32(len(taken) * 64)
	for range placeTries {
		hash = (hash ^ hash>>15) * 0x2c1b3c6d
		hash ^= hash >> 13
		at := uint32(uint64(hash) * uint64(all) >> 32)
		if grains > all-at {
			continue
		}
		if free(taken, at, grains) {
			for i := at; i < at+grains; i++ {
				taken[i/64] |= 1 << (i % 64)
			}
			return placeFrom + at*placeGrain, true
		}
	}
	return 0, false
}

func free(taken []uint64, at, n uint32) bool {
	for i := at; i < at+n; {
		if i%64 == 0 && at+n-i >= 64 {
			if taken[i/64] != 0 {
				return false
			}
			i += 64
			continue
		}
		if taken[i/64]>>(i%64)&1 != 0 {
			return false
		}
		i++
	}
	return true
}

func (s span) has(addr uint32) bool { return addr >= s.from && addr < s.to }

// at gives the number of the thing that an address lies in, or -1.
func (p *places) at(addr uint32) int {
	if !p.spans[0].has(addr) && !p.spans[1].has(addr) {
		return -1
	}
	i, found := slices.BinarySearch(p.addrs, addr)
	if !found {
		i--
	}
	return i
}

// place gives the place of an address.
func (p *places) place(addr uint32) (uint32, bool) {
	i := p.at(addr)
	if i < 0 {
		return 0, false
	}
	return p.bases[i] + addr - p.addrs[i], true
}

// address undoes place.
func (p *places) address(place uint32) (uint32, bool) {
	lo, hi := 0, len(p.sorted)
	for lo < hi {
		m := (lo + hi) / 2
		if p.bases[p.sorted[m]] <= place {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return 0, false
	}
	i := p.sorted[lo-1]
	addr := p.addrs[i] + place - p.bases[i]
	return addr, addr < p.limits[i] && addr >= p.addrs[i]
}

func near(v uint32) bool { return v+placeNear < 2*placeNear }

// placeCoder replaces addresses by places. What is no address, and is neither near zero, is listed.
type placeCoder struct {
	*places
	listed []uint32
}

// absolute gives the word for an address.
func (c *placeCoder) absolute(v uint32) uint32 {
	if w, ok := c.place(v); ok {
		return w
	}
	c.listed = append(c.listed, v)
	return placeListed
}

func (c *placeCoder) absoluteBack(w uint32) (uint32, bool) {
	if w == placeListed {
		return c.next()
	}
	return c.address(w)
}

func (c *placeCoder) next() (uint32, bool) {
	if len(c.listed) == 0 {
		return 0, false
	}
	v := c.listed[0]
	c.listed = c.listed[1:]
	return v, true
}

// relative gives the word for a number that counts from origin, of a field at the address field.
func (c *placeCoder) relative(v, origin, field uint32, local bool) uint32 {
	to := v + origin
	if n := c.at(to); n >= 0 && !(local && near(v) && n == c.at(field)) {
		return c.bases[n] + to - c.addrs[n]
	} else if near(v) {
		return v
	}
	c.listed = append(c.listed, v)
	return placeListed
}

func (c *placeCoder) relativeBack(w, origin uint32) (uint32, bool) {
	switch {
	case near(w):
		return w, true
	case w == placeListed:
		return c.next()
	}
	addr, ok := c.address(w)
	return addr - origin, ok
}
