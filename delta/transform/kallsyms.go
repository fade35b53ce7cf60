package transform

import (
	"bytes"
	"cmp"
	"slices"
)

// A kernel's table of symbols (Linux, kernel/kallsyms.c and scripts/kallsyms.c). Names are rows of
// tokens: a byte stands for one of 256 strings. Since 6.4 the table of tokens follows the names
// and addresses come last; before, addresses come first. Behind the names are markers: where in the
// names each 256th begins.
const (
	kallsymsTokens = 256
	kallsymsStep   = 256     // names from one marker to the next
	kallsymsMax    = 400_000 // most symbols
	kallsymsSize   = 36      // bytes that kallsyms.append appends
	kallsymsTries  = 64      // most places where each part is looked for
)

// kallsyms says where the parts of the table are in a file.
type kallsyms struct {
	count, names, markers, tokens, index, offsets uint32

	base uint32 // what negative offsets count from
	size uint32 // bytes of the names

	// order has three bytes for each symbol: the symbols sorted by name. It is 0 without it, and
	// ordered says that byName gives the same.
	order   uint32
	ordered bool
}

// kernelSymbol is one symbol: the low half of its address, and the hash of its name.
type kernelSymbol struct{ addr, hash uint32 }

// findKallsyms finds the table in a section of the file b that begins with base in memory.
func findKallsyms(b []byte, s *elfSection, base uint64) (k kallsyms, ok bool) {
	data := b[:s.off+s.size]
	digits := []byte("\x000\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00")
	at := s.off
	for range kallsymsTries {
		i := bytes.Index(data[at:], digits)
		if i < 0 {
			return k, false
		}
		at += i
		if k.findTokens(data, s.off, at+1) &&
			(k.findEarly(data, s.off, base) || k.findLate(data, s.off, base)) {
			k.size = uint32(k.end(data)) - k.names
			return k, k.within(len(b))
		}
		at++
	}
	return k, false
}

// findTokens finds the tables of tokens around the token for the digit 0.
func (k *kallsyms) findTokens(b []byte, from, zero int) bool {
	end := zero
	for range kallsymsTokens - '0' {
		i := bytes.IndexByte(b[end:], 0)
		if i < 0 || i > 512 {
			return false
		}
		end += i + 1
	}
	index := (end + 7) &^ 7
	if len(b)-index < 2*kallsymsTokens {
		return false
	}
	begin := zero - int(le.Uint16(b[index+2*'0':]))
	if begin < from {
		return false
	}
	k.tokens, k.index = uint32(begin), uint32(index)
	at := begin
	for i := range kallsymsTokens {
		if int(le.Uint16(b[index+2*i:])) != at-begin {
			return false
		}
		at += bytes.IndexByte(b[at:index], 0) + 1
	}
	return at == end
}

// findEarly finds the other parts where addresses come first.
func (k *kallsyms) findEarly(b []byte, from int, base uint64) bool {
	tries := 0
	for at := (from + 7) &^ 7; at+16 < int(k.tokens) && tries < kallsymsTries; at += 8 {
		if le.Uint64(b[at:]) != base {
			continue
		}
		tries++
		k.count, k.names, k.base = le.Uint32(b[at+8:]), uint32(at+16), uint32(base)
		if k.count < kallsymsStep || k.count > kallsymsMax || (at-4*int(k.count))&^7 < from {
			continue
		}
		end := k.end(b)
		k.markers = uint32(end+7) &^ 7
		k.order = (k.markers + 4*k.marked() + 7) &^ 7
		k.offsets = uint32(at-4*int(k.count)) &^ 7
		if end > 0 && k.order <= k.tokens && k.good(b) {
			if k.order+3*k.count > k.tokens {
				k.order = 0
			}
			return true
		}
	}
	return false
}

// findLate finds the other parts where addresses come last.
func (k *kallsyms) findLate(b []byte, from int, base uint64) bool {
	marker := int(k.tokens) &^ 7
	if marker-from < 8 {
		return false
	}
	if le.Uint32(b[marker-4:]) == 0 {
		marker -= 4
	}
	last := int(le.Uint32(b[marker-4:]))
	begin := marker - 4
	for begin > from && le.Uint32(b[begin:]) != 0 {
		begin -= 4
	}
	k.markers = uint32(begin)
	n := uint32(marker-begin) / 4
	const far = kallsymsStep * 64 // bytes of the names behind the last marker, at most
	tries := 0
	for at := max(from, begin-last-far) &^ 3; at < begin-last && tries < kallsymsTries; at += 4 {
		if at < from || (le.Uint32(b[at:])+kallsymsStep-1)/kallsymsStep != n {
			continue
		}
		tries++
		k.count, k.names = le.Uint32(b[at:]), uint32(at+8)
		if end := k.end(b); end == 0 || end > begin || begin-end >= 8 {
			continue
		}
		k.offsets = (k.index + 2*kallsymsTokens + 7) &^ 7
		counts := int64(k.offsets+4*k.count+7) &^ 7 // from which offsets count
		k.order, k.base = uint32(counts+8), uint32(base)
		if counts+8+3*int64(k.count) <= int64(len(b)) && le.Uint64(b[counts:]) == base && k.good(b) {
			return true
		}
	}
	return false
}

// marked is the number of markers.
func (k *kallsyms) marked() uint32 { return (k.count + kallsymsStep - 1) / kallsymsStep }

// each calls visit with the tokens of each name in turn, and where the name begins in the names. It
// gives where the names end, or 0 when they don't lie before end.
func (k *kallsyms) each(b []byte, end int, visit func(i, at int, name []byte)) int {
	at := int(k.names)
	for i := range int(k.count) {
		begin := at - int(k.names)
		if at+2 > end {
			return 0
		}
		n := int(b[at])
		at++
		if n&0x80 != 0 {
			n = n&0x7f | int(b[at])<<7
			at++
		}
		if n == 0 || n > end-at {
			return 0
		}
		visit(i, begin, b[at:at+n])
		at += n
	}
	return at
}

func (k *kallsyms) end(b []byte) int {
	return k.each(b, len(b), func(_, _ int, _ []byte) {})
}

// good tells whether the markers are those of the names.
func (k *kallsyms) good(b []byte) bool {
	good := true
	k.each(b, len(b), func(i, at int, _ []byte) {
		if i%kallsymsStep == 0 {
			good = good && le.Uint32(b[int(k.markers)+4*(i/kallsymsStep):]) == uint32(at)
		}
	})
	return good
}

// span is a range of addresses, or of places in a file.
type span struct{ from, to uint32 }

// parts gives where in the file the arrays are that rewrite changes.
func (k *kallsyms) parts() []span {
	p := []span{
		{k.offsets, k.offsets + 4*k.count},
		{k.markers, k.markers + 4*k.marked()},
		{k.names, k.names + k.size},
	}
	if k.ordered {
		p = append(p, span{k.order, k.order + 3*k.count})
	}
	return p
}

// within tells whether all parts lie within a file of size bytes.
func (k *kallsyms) within(size int) bool {
	if k.count == 0 || k.count > kallsymsMax {
		return false
	}
	for _, p := range [][2]uint32{
		{k.names, k.size}, {k.markers, 4 * k.marked()}, {k.tokens, 1}, {k.index, 2 * kallsymsTokens},
		{k.offsets, 4 * k.count}, {k.order, 3 * k.count},
	} {
		if uint64(p[0])+uint64(p[1]) > uint64(size) {
			return false
		}
	}
	return true
}

// append appends k to b: nine numbers of four bytes.
func (k *kallsyms) append(b []byte) []byte {
	order := k.order
	if !k.ordered {
		order = 0
	}
	for _, v := range []uint32{
		k.count, k.names, k.markers, k.tokens, k.index, k.offsets, order, k.base, k.size,
	} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// readKallsyms reads what append has appended.
func readKallsyms(b []byte) (k kallsyms) {
	for i, v := range []*uint32{
		&k.count, &k.names, &k.markers, &k.tokens, &k.index, &k.offsets, &k.order, &k.base, &k.size,
	} {
		*v = le.Uint32(b[4*i:])
	}
	k.ordered = k.order != 0
	return k
}

// rewrite makes addresses differences, and clears what follows from the names.
func (k *kallsyms) rewrite(b []byte) {
	for i, p := range k.parts() {
		if i == 0 {
			differences(b[p.from:p.to], false)
		} else {
			clear(b[p.from:p.to])
		}
	}
}

// restore undoes rewrite, with the names that expand gave. ok is false when the names are none.
func (k *kallsyms) restore(b []byte, names *nameText) (ok bool) {
	if !k.put(b, names.compress()) {
		return false
	}
	end := k.each(b, len(b), func(i, at int, _ []byte) {
		if i%kallsymsStep == 0 {
			le.PutUint32(b[int(k.markers)+4*(i/kallsymsStep):], uint32(at))
		}
	})
	if end == 0 {
		return false
	}
	differences(b[k.offsets:k.offsets+4*k.count], true)
	return !k.ordered || k.putOrder(b)
}

// byName gives the numbers of the symbols, sorted by their names without the type, or nil when not
// all names are there.
func (k *kallsyms) byName(b []byte) []uint32 {
	tokens := k.tokensOf(b)
	names := make([]byte, 0, 24*int(k.count))
	ends := make([]uint32, 1, k.count+1)
	if k.each(b, len(b), func(_, _ int, p []byte) {
		names = appendName(names, &tokens, p)
		ends = append(ends, uint32(len(names)))
	}) == 0 {
		return nil
	}
	order := make([]uint32, k.count)
	for i := range order {
		order[i] = uint32(i)
	}
	name := func(i uint32) []byte {
		p := names[ends[i]:ends[i+1]]
		return p[min(1, len(p)):]
	}
	slices.SortFunc(order, func(x, y uint32) int {
		if c := bytes.Compare(name(x), name(y)); c != 0 {
			return c
		}
		return cmp.Compare(x, y)
	})
	return order
}

// isOrdered tells whether the file has the order by name, as byName gives it.
func (k *kallsyms) isOrdered(b []byte) bool {
	if k.order == 0 {
		return false
	}
	order := k.byName(b)
	if order == nil {
		return false
	}
	for i, n := range order {
		p := b[int(k.order)+3*i:]
		if uint32(p[0])<<16|uint32(p[1])<<8|uint32(p[2]) != n {
			return false
		}
	}
	return true
}

// putOrder puts the order by name in place. ok is false when the names are damaged: markers may lie
// upon them in a damaged table.
func (k *kallsyms) putOrder(b []byte) (ok bool) {
	order := k.byName(b)
	for i, n := range order {
		p := b[int(k.order)+3*i:]
		p[0], p[1], p[2] = byte(n>>16), byte(n>>8), byte(n)
	}
	return order != nil
}

// symbols reads the symbols, sorted by address as the table is. All but order and markers must have
// their original form.
func (k *kallsyms) symbols(b []byte) []kernelSymbol {
	tokens := k.tokensOf(b)
	out := make([]kernelSymbol, 0, k.count)
	name := make([]byte, 0, 2*stringMax)
	// Where variables per processor have addresses from 0 on, those of all else are negative.
	last := le.Uint32(b[k.offsets+4*(k.count-1):])
	signed := int32(last) < 0
	k.each(b, len(b), func(i, _ int, p []byte) {
		name = appendName(name[:0], &tokens, p)
		addr := le.Uint32(b[int(k.offsets)+4*i:])
		if !signed {
			addr += k.base
		} else if int32(addr) < 0 {
			addr = k.base - 1 - addr
		}
		out = append(out, kernelSymbol{addr, hashKernelName(name[min(1, len(name)):])})
	})
	return out
}

// appendName appends a name to b, cut off behind the token that reaches stringMax.
func appendName(b []byte, tokens *[kallsymsTokens][]byte, name []byte) []byte {
	begin := len(b)
	for _, c := range name {
		if len(b)-begin >= stringMax {
			break
		}
		b = append(b, tokens[c]...)
	}
	return b
}

func (k *kallsyms) tokensOf(b []byte) (tokens [kallsymsTokens][]byte) {
	for i := range tokens {
		at := int(k.tokens) + int(le.Uint16(b[int(k.index)+2*i:]))
		if at < len(b) {
			p := b[at:min(at+stringMax, len(b))]
			tokens[i] = p[:max(0, bytes.IndexByte(p, 0))]
		}
	}
	return tokens
}

// hashKernelName is hashName, except that names which the kernel's macros number lose all digits.
func hashKernelName(name []byte) uint32 {
	if !bytes.HasPrefix(name, []byte("__UNIQUE_ID")) && !bytes.HasPrefix(name, []byte("__BTF_ID")) &&
		!bytes.HasPrefix(name, []byte("__initcall__")) {
		return hashName(string(name))
	}
	h := uint32(2166136261)
	for _, c := range name {
		if c < '0' || c > '9' {
			h = (h ^ uint32(c)) * 16777619
		}
	}
	return h
}
