package transform

import "math/bits"

// A Predictor predicts the addresses in what a patch copies, in the way of Zucchini: an address in
// the old content becomes the one to which the patches copy what lies there. It serves the patch of
// one piece.
type Predictor struct {
	old, new Layout
	moves    moves
	exact    []learned // by a hash of the old address
	near     []learned // by a hash of the old address's page
}

// moves says where bytes of the old content are in the new one.
type moves interface {
	// Find gives the new place of a byte. It is a guess unless moved is true.
	Find(old int64) (at int64, moved bool)
}

// learned is an address in both contents.
type learned struct{ old, new uint64 }

const (
	exactBits = 16
	nearBits  = 10
	nearPage  = 12 // bits
)

// NewPredictor gives a predictor for one piece. New has the sections of old in the same order.
func NewPredictor(old, new Layout, m moves) *Predictor {
	return newPredictor(old, new, m, 1<<exactBits, 1<<nearBits)
}

// newPredictor is NewPredictor with other sizes of what is remembered, powers of two.
func newPredictor(old, new Layout, m moves, exact, near int) *Predictor {
	return &Predictor{old, new, m, make([]learned, exact), make([]learned, near)}
}

// slot gives where v is remembered in l, whose length is a power of two.
func slot(l []learned, v uint64) *learned {
	return &l[v*0x9e3779b97f4a7c15>>(bits.LeadingZeros64(uint64(len(l)))+1)]
}

// Predict is a suffix.Guess.
func (p *Predictor) Predict(b []byte, at, old int64, correct func([]byte)) {
	for len(b) > 0 {
		i, k := p.old.at(old), p.new.at(at)
		left := uint64(len(b))
		if i >= 0 {
			left = p.old[i].Size - uint64(old-p.old[i].Offset)
		} else {
			for _, s := range p.old {
				if s.Offset > old {
					left = min(left, uint64(s.Offset-old))
				}
			}
		}
		n := int64(min(left, uint64(len(b))))
		if i >= 0 && k >= 0 {
			p.section(i, b[:n], p.old.addr(i, old), p.new.addr(k, at), correct)
		} else {
			correct(b[:n])
		}
		b, at, old = b[n:], at+n, old+n
	}
}

// section predicts the addresses in bytes of section i.
func (p *Predictor) section(i int, b []byte, old, new uint64, correct func([]byte)) {
	done := 0
	p.old.references(i, b, old, func(r reference) {
		target := r.target(b)
		at := p.old.of(target)
		if at < 0 || r.at < done {
			return
		}
		switch r.moves {
		case withPlace, withPlaceBack:
			r.from += new - old
		case withSection:
			r.from = p.new[i].Addr
		}
		r.put(b, p.moved(at, target))
		end := r.at + r.width
		correct(b[done:end])
		done = end
		l := learned{target, r.target(b)}
		*slot(p.exact, target) = l
		*slot(p.near, target>>nearPage) = l
	})
	correct(b[done:])
}

// moved gives the new address of what lies at an old one, in section i.
func (p *Predictor) moved(i int, old uint64) uint64 {
	if l := slot(p.exact, old); l.old == old {
		return l.new
	}
	s := &p.old[i]
	inFile := s.Offset != noFile
	at, sure := int64(0), false
	if inFile {
		at, sure = p.moves.Find(s.Offset + int64(old-s.Addr))
	}
	if l := slot(p.near, old>>nearPage); !sure && (l.old^old)>>nearPage == 0 {
		return l.new + old - l.old
	}
	if k := p.new.at(at); inFile && k >= 0 {
		return p.new.addr(k, at)
	}
	return p.new[i].Addr + old - s.Addr
}
