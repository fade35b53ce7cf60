package transform

import (
	"cmp"
	"slices"
	"sync"

	"deltaup/delta/transform/xzutils"
)

// Learner finds the shifts between two builds of a kernel from modules of both. Guess gets some of
// them. When that has ended, Add gets all, and then Shifts tells what was learnt. It is for
// publishers. Guess and Add are safe for concurrent use.
type Learner struct {
	mu           sync.Mutex
	first        map[firsts]int // how many modules say so
	types, names map[pair]int   // how many references
}

// pair is an old and a new number of one type or name.
type pair struct{ old, new uint32 }

// firsts are the first numbers of modules' own types and names.
type firsts struct{ types, names pair }

// NewLearner gives a learner that knows nothing.
func NewLearner() *Learner {
	return &Learner{types: map[pair]int{}, names: map[pair]int{}, first: map[firsts]int{}}
}

// Guess takes a module of the old build and the same one of the new build.
func (l *Learner) Guess(old, new []byte) {
	a, b := describe(old), describe(new)
	if a == nil || b == nil {
		return
	}
	f := firsts{pair{a.guessType(), b.guessType()}, pair{a.guessName(), b.guessName()}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first[f]++
}

// Add takes a module of the old build and the same one of the new build.
func (l *Learner) Add(old, new []byte) {
	a, b := describe(old), describe(new)
	if a == nil || b == nil {
		return
	}
	l.mu.Lock()
	f, _ := l.firsts()
	l.mu.Unlock()
	a.firstType, a.firstName = f.types.old, f.names.old
	b.firstType, b.firstName = f.types.new, f.names.new
	types, names := a.compare(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range types {
		l.types[p]++
	}
	for _, p := range names {
		l.names[p]++
	}
}

// Shifts gives what was learnt, or nil when no module had anything to say.
func (l *Learner) Shifts() *Shifts {
	f, ok := l.firsts()
	if !ok {
		return nil
	}
	return &Shifts{shiftsOf(l.types, f.types), shiftsOf(l.names, f.names)}
}

// firsts gives the first numbers that most modules seem to have.
func (l *Learner) firsts() (first firsts, ok bool) {
	most := 0
	for f, n := range l.first {
		if n > most || n == most && cmp.Or(cmp.Compare(f.types.old, first.types.old),
			cmp.Compare(f.types.new, first.types.new), cmp.Compare(f.names.old, first.names.old),
			cmp.Compare(f.names.new, first.names.new)) < 0 {
			first, most = f, n
		}
	}
	return first, most > 0
}

// shiftsOf gives the shifts that most references want. From first on numbers are the modules' own.
func shiftsOf(votes map[pair]int, first pair) []Shift {
	best := map[uint32]pair{} // new number and votes, by old number
	for p, n := range votes {
		b := best[p.old]
		if p.old < first.old && (n > int(b.old) || n == int(b.old) && p.new < b.new) {
			best[p.old] = pair{uint32(n), p.new}
		}
	}
	olds := make([]uint32, 0, len(best))
	for old := range best {
		olds = append(olds, old)
	}
	slices.Sort(olds)
	var l []Shift
	by := uint32(0)
	for _, old := range olds {
		if d := best[old].new - old; d != by {
			l = append(l, Shift{old, d})
			by = d
		}
	}
	return append(l, Shift{first.old, first.new - first.old})
}

// description is a module's BTF, word by word.
type description struct {
	*btf
	begin []int // of each type, in words
	kinds []byte
	words []uint32
}

// describe gives nil when module has no BTF.
func describe(module []byte) *description {
	if isXZ(module) {
		content, err := xzutils.Decompress(module, xzLimits)
		if err != nil {
			return nil
		}
		module = content
	}
	f, ok := parseELF(module)
	if !ok || f.kind != elfTypeRel {
		return nil
	}
	s := f.section(".BTF")
	if s == nil {
		return nil
	}
	t, ok := parseBTF(s.of(module))
	if !ok {
		return nil
	}
	d := &description{btf: t}
	t.walk(func(_ int, word byte, p []byte) {
		if word == 'h' {
			d.begin = append(d.begin, len(d.words))
		}
		d.kinds = append(d.kinds, word)
		d.words = append(d.words, le.Uint32(p))
	})
	d.begin = append(d.begin, len(d.words))
	return d
}

// compare lists what corresponds among the kernel's types and names: that to which types with the
// same name refer, and then types that look the same.
func (d *description) compare(other *description) (types, names []pair) {
	w := &comparison{d: d, other: other, seen: make([]bool, d.count), taken: make([]bool, other.count)}
	mine, theirs := d.named(d.firstName), other.named(other.firstName)
	for n, token := range mine.of {
		if o, ok := theirs.index[token]; ok && token != 0 {
			w.add(n, int(o))
		}
	}
	w.run()
	ours, unique := d.shapes(w.seen)
	_, others := other.shapes(w.taken)
	for n, shape := range ours {
		if o := others[shape]; unique[shape] > 0 && o > 0 {
			w.add(n, o-1)
		}
	}
	w.run()
	return w.types, w.names
}

// shapes gives a hash of what each type's description says besides references, 0 for those that are
// left out. unique has by it one more than the type's number, -1 when several have it.
func (d *description) shapes(leaveOut []bool) (shapes []uint64, unique map[uint64]int) {
	shapes, unique = make([]uint64, d.count), map[uint64]int{}
	for n, out := range leaveOut {
		if out {
			continue
		}
		hash := uint64(1)
		for i := d.begin[n]; i < d.begin[n+1]; i++ {
			v := d.words[i]
			switch d.kinds[i] {
			case 't':
				continue
			case 'n':
				if v < d.firstName {
					continue
				}
				v = hashName(stringAt(d.strings, v-d.firstName))
			}
			hash = (hash ^ uint64(v)) * 0x9e3779b97f4a7c15
			hash ^= hash >> 29
		}
		shapes[n] = hash
		if unique[hash] != 0 {
			unique[hash] = -1
		} else {
			unique[hash] = n + 1
		}
	}
	return shapes, unique
}

// comparison goes through two modules side by side.
type comparison struct {
	d, other     *description
	seen, taken  []bool // types of either
	next         []pair // of own types, from 0 on
	types, names []pair
}

func (c *comparison) add(n, other int) {
	if !c.seen[n] && !c.taken[other] {
		c.seen[n], c.taken[other] = true, true
		c.next = append(c.next, pair{uint32(n), uint32(other)})
	}
}

// run compares what is next, and all types to which it refers.
func (c *comparison) run() {
	for ; len(c.next) > 0; c.next = c.next[1:] {
		p := c.next[0]
		a, b := c.d.begin[p.old], c.other.begin[p.new]
		if c.d.words[a] != c.other.words[b] {
			continue // of another kind or size
		}
		for ; a < c.d.begin[p.old+1]; a, b = a+1, b+1 {
			c.word(c.d.kinds[a], c.d.words[a], c.other.words[b])
		}
	}
}

func (c *comparison) word(kind byte, v, w uint32) {
	if v == 0 || w == 0 {
		return
	}
	switch kind {
	case 'n':
		if v < c.d.firstName && w < c.other.firstName {
			c.names = append(c.names, pair{v, w})
		}
	case 't':
		own, others := int64(v)-int64(c.d.firstType), int64(w)-int64(c.other.firstType)
		if own < 0 && others < 0 {
			c.types = append(c.types, pair{v, w})
		} else if own >= 0 && others >= 0 && own < int64(c.d.count) && others < int64(c.other.count) {
			c.add(int(own), int(others))
		}
	}
}
