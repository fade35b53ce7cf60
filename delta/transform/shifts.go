package transform

// Shifts says how the numbers of a kernel's types and names differ from those in an earlier build
// of it. The BTF of all modules refers to them by these numbers. The last ones, which there must
// be, are of the modules' own types and names. It is the transform of these modules.
type Shifts struct{ Types, Names []Shift }

// Shift is what numbers from From on have added, modulo 2³², up to the next shift.
type Shift struct{ From, By uint32 }

// shifted gives the number that v has become. l is ascending, or what becomes of v is of no use.
func shifted(l []Shift, v uint32) uint32 {
	at, end := 0, len(l)
	for at < end {
		if middle := (at + end) / 2; l[middle].From <= v {
			at = middle + 1
		} else {
			end = middle
		}
	}
	if at > 0 {
		v += l[at-1].By
	}
	return v
}

// of gives all references in t the numbers that they have become.
func (s *Shifts) of(t *btf) {
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case v == 0:
		case word == 't':
			le.PutUint32(p, shifted(s.Types, v))
		case word == 'n':
			le.PutUint32(p, shifted(s.Names, v))
		}
	})
}

// Name implements Transform: as kernelModule, but the kernel's types and names stay numbers, and
// those of the module become tokens and hashes as in a kernel. The numbers of a base are shifted.
// Without shifts, which is nil, a content says where its own numbers begin, as it seems.
func (*Shifts) Name() string { return "module+shifts" }

// Forward implements Transform.
func (s *Shifts) Forward(plain []byte) ([]byte, bool) {
	return s.forward(roomFor(plain), false, nil)
}

// base implements based.
func (s *Shifts) base(old []byte) ([]byte, Learnt, bool) { return s.rewrite(roomFor(old)) }

// rewrite implements inPlace.
func (s *Shifts) rewrite(old []byte) (out []byte, _ Learnt, ok bool) {
	out, ok = s.forward(old, true, nil)
	return out, nil, ok
}

func (s *Shifts) forward(b []byte, isBase bool, order *btfOrder) ([]byte, bool) {
	if len(b) > LargeMax {
		return nil, false
	}
	base := &btfBase{numbered: true, order: order}
	if s != nil {
		base.firstType, base.firstName = ownFrom(s.Types), ownFrom(s.Names)
	}
	if !isBase {
		s = nil
	}
	return forwardModule(b, b, base, s)
}

// Inverse implements Transform.
func (*Shifts) Inverse(out []byte, limit int64) ([]byte, error) {
	return inverseModule(out, limit, &btfBase{numbered: true})
}

// ownFrom gives the first number of the modules' own in the new build.
func ownFrom(l []Shift) uint32 {
	last := l[len(l)-1]
	return last.From + last.By
}

// WithShifts gives the id of the transform that is as the one with id, but takes shifts and an old
// content. ok is false when there is none.
func WithShifts(id uint8) (_ uint8, ok bool) {
	switch id {
	case idModule, idShifted:
		return idOrdered, true
	case idXZModule:
		return idXZOrdered, true
	}
	return 0, false
}

// TakesShifts tells whether the transform with an id takes shifts.
func TakesShifts(id uint8) bool {
	return id == idShifted || id == idXZShifted || id == idOrdered || id == idXZOrdered
}

// Shifted gives t with the shifts from the kernel of an old content to that of the new one. ok is
// false when t has no use for them.
func Shifted(t Transform, s *Shifts) (_ Transform, ok bool) {
	switch x := t.(type) {
	case *Shifts:
		return s, true
	case *ordered:
		return &ordered{s, x.old}, true
	case xzFile:
		if x.content != nil {
			x.content, ok = Shifted(x.content, s)
			return x, ok
		}
	}
	return t, false
}
