package transform

import (
	"bytes"
	"sort"
)

// The order of a module's types changes from build to build, since the program that writes them
// takes several source files at once and keeps of types that these share only the first. So the
// types are put in the order of their words, see forwardHashed, those without a word last. The
// module's names are put in the order in which the types then first name them. What the order was
// is told to those who know that of the old module's types: see orderCoder.

// orderedMax is how many types a module may have. It bounds the memory that tables take.
const orderedMax = 1 << 17

// ordered is Shifts with types in another order.
type ordered struct {
	shifts *Shifts
	old    []uint32 // words of the old module's types
}

// Name implements Transform.
func (*ordered) Name() string { return "module+order" }

// Forward implements Transform.
func (o *ordered) Forward(plain []byte) ([]byte, bool) {
	return o.shifts.forward(roomFor(plain), false, &btfOrder{old: o.old})
}

// base implements based.
func (o *ordered) base(old []byte) ([]byte, Learnt, bool) { return o.rewrite(roomFor(old)) }

// rewrite implements inPlace.
func (o *ordered) rewrite(old []byte) ([]byte, Learnt, bool) {
	order := &btfOrder{isBase: true}
	out, ok := o.shifts.forward(old, true, order)
	return out, order.old, ok
}

// Inverse implements Transform.
func (o *ordered) Inverse(out []byte, limit int64) ([]byte, error) {
	return inverseModule(out, limit, &btfBase{numbered: true, order: &btfOrder{old: o.old}})
}

// btfOrder is what the order of types takes.
type btfOrder struct {
	isBase bool     // nobody asks for the order
	old    []uint32 // words of the old module's types in their order; 0: none
	coded  []byte   // by orderCoder; nothing when the order is as expected
}

const orderCodedMax = 1 << 14 // bytes, exclusive

// append appends the order to a file, and behind it its length: seven bits in the last byte, more
// in the byte before.
func (r *btfOrder) append(b []byte) []byte {
	b = append(b, r.coded...)
	n := len(r.coded)
	if n >= 0x80 {
		return append(b, byte(n>>7), byte(n)|0x80)
	}
	return append(b, byte(n))
}

// cut reads what append has appended to b, and gives the file before it.
func (r *btfOrder) cut(b []byte) ([]byte, bool) {
	end := len(b) - 1
	if end < 1 {
		return nil, false
	}
	n := int(b[end])
	if n >= 0x80 {
		end--
		n = n&0x7f | int(b[end])<<7
	}
	if n > end || n >= orderCodedMax {
		return nil, false
	}
	r.coded = b[end-n : end]
	return b[:end-n], true
}

func (t *btf) forwardOrdered(base *btfBase) bool {
	t.firstType, t.firstName = base.firstType, base.firstName
	if t.count > orderedMax {
		return false
	}
	words := t.kernelTypes()
	if words == nil {
		return false
	}
	sorted := &byWord{words: words, list: make([]int, t.count)}
	for i := range sorted.list {
		sorted.list[i] = i
	}
	sort.Sort(sorted)
	place, ok := inverseOf(sorted.list), true
	starts := t.nameStarts()
	var names []int
	if !base.order.isBase {
		names = t.firstUses(starts)
	}
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		if own := v - t.firstType; word == 't' && v >= t.firstType && int64(own) < int64(t.count) {
			le.PutUint32(p, t.firstType+uint32(place[own]))
			if words[own] != 0 {
				le.PutUint32(p, words[own])
				return
			}
		}
		ok = ok && (word != 't' || le.Uint32(p) < btfLocal)
	})
	t.arrange(sorted.list)
	if !ok || !t.arrangeNames(starts, t.firstUses(starts)) {
		return false
	}
	if r := base.order; r.isBase {
		r.old = words
	} else {
		r.coded = t.codeOrder(r.old, place, inverseOf(names))
		ok = len(r.coded) < orderCodedMax
	}
	last := uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		switch v := le.Uint32(p); word {
		case 'h':
			last = 0
		case 'o':
			le.PutUint32(p, v-last)
			last = v
		}
	})
	return t.forwardNames(base) && ok
}

func (t *btf) inverseOrdered(base *btfBase) bool {
	t.firstType, t.firstName = base.firstType, base.firstName
	if t.count > orderedMax || !t.inverseNames(base) {
		return false
	}
	t.sumOffsets()
	number := t.kernelNumbers()
	list, kinds := t.expected(number, base.order.old)
	coder := newOrderCoder(base.order.coded, false)
	order := make([]int, t.count)
	if !coder.order(kinds, order) {
		return false
	}
	for i, at := range order {
		order[i] = list[at]
	}
	place, ok := inverseOf(order), true
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		if word != 't' {
			return
		}
		if v >= btfLocal {
			n, known := number(v)
			v, ok = n, ok && known
		}
		if own := v - t.firstType; v >= t.firstType && int64(own) < int64(t.count) {
			v = t.firstType + uint32(place[own])
		}
		le.PutUint32(p, v)
	})
	t.arrange(order)
	starts := t.nameStarts()
	uses, names := t.firstUses(starts), make([]int, len(starts))
	if !ok || !coder.order(nil, names) {
		return false
	}
	for i, at := range names {
		names[i] = uses[at]
	}
	return t.arrangeNames(starts, names)
}

// codeOrder tells the order of types, by their present places, and of names, by the place among
// their first uses. The references in t are words.
func (t *btf) codeOrder(old []uint32, place, names []int) []byte {
	list, kinds := t.expected(t.kernelNumbers(), old)
	at := inverseOf(list)
	for i, p := range place {
		place[i] = at[p]
	}
	if sort.IntsAreSorted(place) && sort.IntsAreSorted(names) {
		return nil
	}
	c := newOrderCoder(nil, true)
	c.order(kinds, place)
	c.order(nil, names)
	return c.finish()
}

// expected lists the types as they lie in the old module, then all others. number is what
// kernelNumbers gives. kinds are those of the types in the list.
func (t *btf) expected(number func(uint32) (uint32, bool), old []uint32) (list []int, kinds []byte) {
	kindOf := make([]byte, t.count)
	t.walk(func(n int, word byte, p []byte) {
		if word == 'h' {
			kindOf[n] = orderKinds[p[3]&31]
		}
	})
	listed := make([]bool, t.count)
	for i := range len(old) + t.count {
		n, ok := uint32(i-len(old)), true
		if i < len(old) {
			n, ok = number(old[i])
			n -= t.firstType
			ok = ok && old[i] != 0
		}
		if ok && int64(n) < int64(t.count) && !listed[n] {
			listed[n] = true
			list, kinds = append(list, int(n)), append(kinds, kindOf[n])
		}
	}
	return list, kinds
}

// arrange puts the types in an order of their numbers.
func (t *btf) arrange(order []int) {
	at := make([]int, t.count+1)
	for n := range t.count {
		at[n+1] = at[n] + btfSize(t.types[at[n]:])
	}
	out := make([]byte, 0, len(t.types))
	for _, n := range order {
		out = append(out, t.types[at[n]:at[n+1]]...)
	}
	copy(t.types, out)
}

// nameStarts gives the offsets of the module's names, unless there are too many.
func (t *btf) nameStarts() (starts []int) {
	if bytes.Count(t.strings, []byte{0}) > orderedMax {
		return nil
	}
	start := 0
	for i, c := range t.strings {
		if c == 0 {
			starts = append(starts, start)
			start = i + 1
		}
	}
	return starts
}

// firstUses lists the numbers of the module's names in the order in which types first name them,
// then of those that none names.
func (t *btf) firstUses(starts []int) (list []int) {
	listed, next := make([]bool, len(starts)), 0
	t.walk(func(_ int, word byte, p []byte) {
		n, ok := t.ownName(starts, next, word, p)
		if ok && !listed[n] {
			listed[n] = true
			list = append(list, n)
			next = n + 1
		}
	})
	for n, was := range listed {
		if !was {
			list = append(list, n)
		}
	}
	return list
}

// ownName gives the number of the name that a word of a type is, if it is one of the module's.
// likely is tried first.
func (t *btf) ownName(starts []int, likely int, word byte, p []byte) (n int, ok bool) {
	v := le.Uint32(p)
	if word != 'n' || v < t.firstName {
		return 0, false
	}
	at := int(v - t.firstName)
	if likely < len(starts) && starts[likely] == at {
		return likely, true
	}
	n = sort.SearchInts(starts, at)
	return n, n < len(starts) && starts[n] == at
}

// arrangeNames puts the module's names in an order of their numbers. It is false when types have
// others.
func (t *btf) arrangeNames(starts, order []int) bool {
	out, to := make([]byte, 0, len(t.strings)), make([]int, len(starts))
	for _, n := range order {
		to[n] = len(out)
		end := starts[n]
		for t.strings[end] != 0 {
			end++
		}
		out = append(out, t.strings[starts[n]:end+1]...)
	}
	copy(t.strings, out)
	good, next := true, 0
	t.walk(func(_ int, word byte, p []byte) {
		if n, ok := t.ownName(starts, next, word, p); ok {
			le.PutUint32(p, t.firstName+uint32(to[n]))
			next = n + 1
		} else if word == 'n' && le.Uint32(p) >= t.firstName {
			good = false
		}
	})
	return good
}

// byWord sorts numbers of types.
type byWord struct {
	words []uint32
	list  []int
}

func (l *byWord) Len() int { return len(l.list) }
func (l *byWord) Less(i, j int) bool {
	a, b := l.list[i], l.list[j]
	x, y := l.words[a]-1, l.words[b]-1 // 0 comes last
	return x < y || x == y && a < b
}
func (l *byWord) Swap(i, j int) { l.list[i], l.list[j] = l.list[j], l.list[i] }

// inverseOf gives the place of each number in a list of all of them.
func inverseOf(list []int) []int {
	place := make([]int, len(list))
	for i, n := range list {
		place[n] = i
	}
	return place
}
