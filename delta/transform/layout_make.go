package transform

import "strings"

// Layouts gives the layouts of two versions of a program, the same sections in the same order. ok
// is false unless both are programs of x86-64.
func Layouts(old, new []byte) (from, to Layout, ok bool) {
	a, ok := openProgram(old)
	if !ok || a.machine != elfMachineX86 {
		return nil, nil, false
	}
	b, ok := openProgram(new)
	if !ok || b.machine != elfMachineX86 {
		return nil, nil, false
	}
	used := map[*elfSection]bool{}
	for i := range a.sections {
		s := &a.sections[i]
		if !inMemory(s) {
			continue
		}
		var t *elfSection
		for k := range b.sections {
			if c := &b.sections[k]; c.name == s.name && inMemory(c) && !used[c] {
				t = c
				break
			}
		}
		pair := Section{Kind: holds(s), Offset: noFile}
		from = append(from, section(s))
		if t != nil {
			used[t] = true
			pair = section(t)
		}
		to = append(to, pair)
	}
	for k := range b.sections {
		if c := &b.sections[k]; inMemory(c) && !used[c] {
			from = append(from, Section{Kind: holds(c), Offset: noFile})
			to = append(to, section(c))
		}
	}
	return from, to, len(from) <= SectionMax
}

// inMemory tells whether a section has a place in memory of its own.
func inMemory(s *elfSection) bool {
	return s.flags&flagAlloc != 0 && s.mem > 0 && s.addr < 1<<31 && s.mem < 1<<31 &&
		(s.flags&flagTLS == 0 || s.kind != sectionNobits)
}

func section(s *elfSection) Section {
	out := Section{Kind: holds(s), Offset: int64(s.off), Addr: s.addr, Size: s.mem}
	if s.size == 0 {
		out.Offset = noFile
	}
	return out
}

func holds(s *elfSection) uint8 {
	switch {
	case s.size == 0:
		return holdsNone
	case s.flags&flagExec != 0:
		return holdsX86
	case s.name == ".eh_frame_hdr":
		return holdsEHTable
	case s.name == ".eh_frame":
		return holdsEHFrame
	case s.flags&flagWrite != 0, s.kind == sectionRela, s.kind == sectionDynsym,
		strings.HasPrefix(s.name, ".relr"):
		return holdsPointers
	}
	return holdsNone
}

// Scaled gives the offset in l of what is at an offset in new, which has the same sections, if it
// is as far on in its section.
func (l Layout) Scaled(new Layout, off int64) int64 {
	i := new.at(off)
	if i < 0 || l[i].Offset == noFile {
		return off
	}
	part := float64(off-new[i].Offset) / float64(new[i].Size)
	return l[i].Offset + int64(part*float64(l[i].Size))
}

// Labelled gives the bytes of a program from a place on, with a label for each address: a hash of
// what lies there. So what has not changed in meaning is equal in two versions.
func (l Layout) Labelled(file []byte, from, to int) []byte {
	out := append([]byte(nil), file[from:to]...)
	for i := range l {
		s := &l[i]
		if s.Kind == holdsNone || s.Offset == noFile {
			continue
		}
		begin, end := max(int(s.Offset), from), min(int(s.Offset)+int(s.Size), to)
		if begin >= end {
			continue
		}
		l.references(i, out[begin-from:end-from], s.Addr+uint64(begin-int(s.Offset)),
			func(r reference) {
				b := out[begin-from : end-from]
				target := r.target(b)
				t := l.of(target)
				if t < 0 {
					return
				}
				le.PutUint32(b[r.at:], l.label(t, file, target))
			})
	}
	return out
}

const labelled = 32 // bytes at an address that make its label, at most

// label gives the label of an address in section i.
func (l Layout) label(i int, file []byte, addr uint64) uint32 {
	s := &l[i]
	const prime = 16777619
	h := uint32(2166136261)
	at := int64(addr-s.Addr) + s.Offset
	if s.Offset == noFile || s.Kind != holdsNone && s.Kind != holdsX86 {
		return (h ^ uint32(s.Kind)) * prime
	}
	if at >= int64(len(file)) {
		return h
	}
	var buf [labelled]byte
	b := buf[:copy(buf[:], file[at:])]
	if s.Kind == holdsX86 {
		l.references(i, b, addr, func(r reference) { le.PutUint32(b[r.at:], 0) })
	}
	for _, c := range b {
		h = (h ^ uint32(c)) * prime
		if c == 0 && s.Kind == holdsNone {
			break
		}
	}
	return h
}
