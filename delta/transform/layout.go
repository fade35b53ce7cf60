package transform

// Kinds of sections by the addresses that they hold. Patch sets store them.
const (
	holdsNone     = iota
	holdsX86      // code of x86-64
	holdsPointers // numbers of eight bytes, some of which are addresses
	holdsEHTable  // the table of .eh_frame_hdr
	holdsEHFrame  // unwind entries

	KindsEnd
)

// noFile is the offset of a section without bytes in the file.
const noFile = 1 << 40

// Section is a part of a program.
type Section struct {
	Kind   uint8
	Offset int64  // in the file
	Addr   uint64 // in memory
	Size   uint64 // in memory; no less than in the file
}

// Layout is the sections of a program, in any order.
type Layout []Section

// SectionMax bounds the sections of a Layout.
const SectionMax = 64

// at gives the number of the section with an offset in the file, or -1.
func (l Layout) at(off int64) int {
	for i := range l {
		if s := &l[i]; off >= s.Offset && uint64(off-s.Offset) < s.Size {
			return i
		}
	}
	return -1
}

// addr gives the address of an offset in section i.
func (l Layout) addr(i int, off int64) uint64 { return l[i].Addr + uint64(off-l[i].Offset) }

// of gives the number of the section with an address, or -1.
func (l Layout) of(addr uint64) int {
	for i := range l {
		if s := &l[i]; addr-s.Addr < s.Size {
			return i
		}
	}
	return -1
}

// isCode tells whether code is at an address.
func (l Layout) isCode(addr uint64) bool {
	i := l.of(addr)
	return i >= 0 && l[i].Kind == holdsX86
}

// A reference is an address in a section: the number at some place in it, added to from.
type reference struct {
	at, width int // the number's place and length in bytes
	from      uint64
	moves     uint8 // what from moves with
}

// What the origin of a reference moves with.
const (
	withNothing = iota
	withSection
	withPlace
	withPlaceBack // the number is subtracted from the place
)

func (r *reference) target(b []byte) uint64 {
	if r.width == 8 {
		return le.Uint64(b[r.at:])
	}
	v := uint64(int64(int32(le.Uint32(b[r.at:]))))
	if r.moves == withPlaceBack {
		v = -v
	}
	return r.from + v
}

func (r *reference) put(b []byte, target uint64) {
	v := target - r.from
	switch {
	case r.width == 8:
		le.PutUint64(b[r.at:], v)
		return
	case r.moves == withPlaceBack:
		v = -v
	}
	le.PutUint32(b[r.at:], uint32(v))
}

// references calls visit for each reference in b, the bytes of section i from an address on. visit
// may change b up to the end of the reference.
func (l Layout) references(i int, b []byte, addr uint64, visit func(reference)) {
	s := &l[i]
	switch s.Kind {
	case holdsX86:
		x86Refs(b, func(kind, field, next int) {
			if kind != refAbsolute {
				visit(reference{field, 4, addr + uint64(next), withPlace})
			}
		})
	case holdsPointers:
		for i := int(-addr & 7); i+8 <= len(b); i += 8 {
			visit(reference{i, 8, 0, withNothing})
		}
	case holdsEHTable:
		for i := int(-addr & 3); i+4 <= len(b); i += 4 {
			if addr+uint64(i)-s.Addr >= ehHeaderSize {
				visit(reference{i, 4, s.Addr, withSection})
			}
		}
	case holdsEHFrame:
		l.unwind(s, b, addr, visit)
	}
}

// unwind is references for unwind entries. It tells an entry by its two references.
func (l Layout) unwind(s *Section, b []byte, addr uint64, visit func(reference)) {
	for i := int(-addr & 3); i+8 <= len(b); i += 4 {
		place := addr + uint64(i)
		common := reference{i, 4, place, withPlaceBack}
		start := reference{i + 4, 4, place + 4, withPlace}
		if c := common.target(b); c >= place || c-s.Addr >= s.Size || c&3 != 0 ||
			!l.isCode(start.target(b)) {
			continue
		}
		table := i+17 <= len(b) && b[i+12] == 4
		visit(common)
		visit(start)
		if table {
			visit(reference{i + 13, 4, place + 13, withPlace})
			i += 12
		}
		i += 4
	}
}
