package transform

import "strings"

// Types of relocations that store the load address plus their addend.
const (
	relativeX86 = 8
	relativeARM = 1027
)

// program rewrites ELF programs and shared libraries: addresses in code, unwind tables, dynamic
// symbols and relocations. The output is a file of the same length and headers, rewritten in place,
// then the list of addressCoder (four bytes each), then the length of that list in four bytes.
type program struct{}

func (program) Name() string { return "program" }

func (program) Forward(plain []byte) ([]byte, bool) {
	if len(plain) > maxContent {
		return nil, false
	}
	p, ok := openProgram(plain)
	if !ok {
		return nil, false
	}
	out := roomFor(plain)
	p.readStarts(plain)
	if !p.data(out, plain, false) {
		return nil, false
	}
	listed, _ := p.code(out, nil, false)
	for _, v := range listed {
		out = le.AppendUint32(out, v)
	}
	return le.AppendUint32(out, uint32(len(listed))), true
}

func (program) Inverse(out []byte, limit int64) ([]byte, error) {
	if len(out) < 4 {
		return nil, errCorrupt
	}
	n := uint64(le.Uint32(out[len(out)-4:]))
	out = out[:len(out)-4]
	if n*4 > uint64(len(out)) {
		return nil, errCorrupt
	}
	listed := words(out[len(out)-int(n)*4:])
	plain := out[:len(out)-int(n)*4]
	if int64(len(plain)) > limit {
		return nil, errTooLong
	}
	p, ok := openProgram(plain)
	if !ok || !p.data(plain, plain, true) {
		return nil, errCorrupt
	}
	if left, ok := p.code(plain, listed, true); !ok || len(left) > 0 {
		return nil, errCorrupt
	}
	return plain, nil
}

// programFile is the outline of a program.
type programFile struct {
	*elfFile
	starts  []uint64      // of functions; from the unwind table in its original form
	regions []region      // sections in memory, ascending
	written []*elfSection // writable data, whose pointers may be rewritten
}

func openProgram(b []byte) (*programFile, bool) {
	f, ok := parseELF(b)
	if !ok || f.kind != elfTypeExec && f.kind != elfTypeDyn ||
		f.machine != elfMachineX86 && f.machine != elfMachineARM {
		return nil, false
	}
	p := &programFile{elfFile: f}
	for i := range f.sections {
		s := &f.sections[i]
		if s.flags&flagAlloc == 0 || s.mem == 0 || s.addr > 1<<62 || s.mem > 1<<62 ||
			s.flags&flagTLS != 0 {
			continue
		}
		if s.flags&(flagWrite|flagExec) == flagWrite && s.kind == 1 && s.size > 0 &&
			len(p.written) < regionMax {
			p.written = append(p.written, s)
		}
		slots := s.flags&flagExec != 0 && s.name != ".text" || strings.HasPrefix(s.name, ".got")
		p.addRegion(region{from: s.addr, to: s.addr + s.mem, slots: slots})
	}
	return p, true
}

// addRegion keeps the regions, of which there are few thousands at most, in ascending order.
func (p *programFile) addRegion(r region) {
	p.regions = append(p.regions, r)
	for i := len(p.regions) - 1; i > 0 && p.regions[i-1].from > r.from; i-- {
		p.regions[i-1], p.regions[i] = p.regions[i], p.regions[i-1]
	}
}

// readStarts reads the functions from the unwind table in b, which must have its original form.
func (p *programFile) readStarts(b []byte) {
	if s := p.section(".eh_frame_hdr"); s != nil {
		if table, ok := ehTable(s.of(b)); ok {
			p.starts = ehStarts(table, s.addr)
		}
	}
}

// code rewrites the program's code, or undoes that with listed. It gives the list that goes with
// the code; in the inverse direction, what is left of it.
func (p *programFile) code(b []byte, listed []uint32, inverse bool) ([]uint32, bool) {
	s := p.section(".text")
	if s == nil {
		return listed, true
	}
	c := newAddressCoder(p.starts, p.regions)
	c.listed = listed
	if p.machine == elfMachineARM {
		ok := c.armCode(s.of(b), s.addr, inverse)
		return c.listed, ok
	}
	if inverse {
		ok := c.inverse(s.of(b), s.addr, p.kind == elfTypeExec)
		return c.listed, ok
	}
	c.forward(s.of(b), s.addr, p.kind == elfTypeExec)
	return c.listed, true
}

// data rewrites everything but the code. plain is the file in its original form: in the inverse
// direction b itself, which gets that form step by step.
func (p *programFile) data(b, plain []byte, inverse bool) bool {
	if s := p.section(".eh_frame_hdr"); s != nil {
		if table, ok := ehTable(s.of(b)); ok {
			rewriteEHTable(table, inverse)
			if inverse {
				p.readStarts(b)
			}
		}
	}
	if s := p.section(".eh_frame"); s != nil {
		rewriteEHFrame(s.of(b), inverse)
	}
	// Symbols come before relocations, which in the inverse direction need them in their original
	// form.
	for i := range p.sections {
		s := &p.sections[i]
		if (s.kind == sectionSymtab || s.kind == sectionDynsym) &&
			!rewriteDynsym(s.of(b), p.strings(s, b), p.starts, p.regions, inverse) {
			return false
		}
	}
	for i := range p.sections {
		s := &p.sections[i]
		if s.kind == sectionRela && !p.relocations(s, b, plain, inverse) {
			return false
		}
	}
	return p.kind != elfTypeExec || p.pointers(b, inverse)
}

// pointers rewrites the pointers in the data of a program that has no relocations for them, as one
// that is not position independent.
func (p *programFile) pointers(b []byte, inverse bool) bool {
	c := newPointerCoder(p.starts, p.regions)
	for _, s := range p.written {
		for d := s.of(b); len(d) >= 8; d = d[8:] {
			v, ok := le.Uint64(d), true
			if inverse {
				v, ok = c.address(v)
			} else {
				v = c.word(v)
			}
			if !ok {
				return false
			}
			le.PutUint64(d, v)
		}
	}
	return true
}

// relocations rewrites a section of relocations: an offset becomes relative to the one before, a
// symbol becomes its token, and an address that the loader moves becomes a word of pointerCoder.
// Where the relocated data holds the address too, it is subtracted there.
func (p *programFile) relocations(s *elfSection, b, plain []byte, inverse bool) bool {
	c := newPointerCoder(p.starts, p.regions)
	var symbols *symbolTable
	if t := p.at(s.link); t != nil && (t.kind == sectionDynsym || t.kind == sectionSymtab) {
		symbols = p.symbolsOf(t, plain)
	}
	last, ok := uint64(0), true
	for r := s.of(b); len(r) >= elfRelaSize && ok; r = r[elfRelaSize:] {
		offset, info, sym, addend := le.Uint64(
			r,
		), le.Uint64(
			r[8:],
		), le.Uint32(
			r[12:],
		), le.Uint64(
			r[16:],
		)
		relative := p.isRelative(info)
		if inverse {
			offset += last
			le.PutUint64(r, offset)
			if sym != 0 {
				sym, ok = symbols.number(sym)
			} else if relative {
				addend, ok = c.address(addend)
				p.addAt(b, offset, addend)
			}
		} else {
			le.PutUint64(r, offset-last)
			if sym != 0 {
				sym, ok = symbols.token(sym)
			} else if relative {
				p.addAt(b, offset, -addend)
				addend = c.word(addend)
			}
		}
		le.PutUint32(r[12:], sym)
		le.PutUint64(r[16:], addend)
		last = offset
	}
	return ok
}

func (p *programFile) isRelative(info uint64) bool {
	return p.machine == elfMachineX86 && info == relativeX86 ||
		p.machine == elfMachineARM && info == relativeARM
}

// addAt adds v to the eight bytes at an address, if they lie in writable data.
func (p *programFile) addAt(b []byte, addr, v uint64) {
	for _, s := range p.written {
		if d := addr - s.addr; addr >= s.addr && d < uint64(s.size) && uint64(s.size)-d >= 8 {
			at := s.of(b)[d:]
			le.PutUint64(at, le.Uint64(at)+v)
			return
		}
	}
}
