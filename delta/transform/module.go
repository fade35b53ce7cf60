package transform

import "strings"

// kernelModule rewrites relocatable ELF files, such as Linux kernel modules. The output is a file
// of the same length and headers, in which the symbol table, the relocations, branches in x86-64
// code and the type information (BTF) are rewritten in place. What btfBase.append writes follows.
type kernelModule struct{}

func (kernelModule) Name() string { return "module" }

func (kernelModule) Forward(plain []byte) ([]byte, bool) {
	if len(plain) > maxContent {
		return nil, false
	}
	return forwardModule(roomFor(plain), plain, &btfBase{}, nil)
}

func (kernelModule) Inverse(out []byte, limit int64) ([]byte, error) {
	return inverseModule(out, limit, &btfBase{})
}

// forwardModule rewrites out, which is plain or a copy of it. Its BTF is shifted first. When base
// has no first numbers, it guesses them.
func forwardModule(out, plain []byte, base *btfBase, by *Shifts) ([]byte, bool) {
	f, ok := parseELF(plain)
	if !ok || f.kind != elfTypeRel {
		return nil, false
	}
	if !f.relocations(out, plain, false) {
		return nil, false
	}
	f.symtabs(out, plain, false)
	if f.machine == elfMachineX86 && f.symbols != nil && !f.symbols.code(out, false) {
		return nil, false
	}
	if s := f.section(".BTF"); s != nil {
		if t, ok := parseBTF(s.of(out)); ok {
			if !t.forward(base, by) {
				return nil, false
			}
		}
	}
	return base.append(out), true
}

// inverseModule undoes forwardModule.
func inverseModule(out []byte, limit int64, base *btfBase) ([]byte, error) {
	plain, ok := base.cut(out)
	if !ok {
		return nil, errCorrupt
	}
	f, ok := parseELF(plain)
	if !ok || f.kind != elfTypeRel {
		return nil, errCorrupt
	}
	if int64(len(plain)) > limit {
		return nil, errTooLong
	}
	f.symtabs(plain, plain, true)
	if !f.relocations(plain, plain, true) {
		return nil, errCorrupt
	}
	if f.machine == elfMachineX86 && f.symbols != nil && !f.symbols.code(plain, true) {
		return nil, errCorrupt
	}
	if s := f.section(".BTF"); s != nil {
		if t, ok := parseBTF(s.of(plain)); ok && !t.inverse(base) {
			return nil, errCorrupt
		}
	}
	return plain, nil
}

// relocations rewrites those of out. In b the symbol table must have its original form.
func (f *elfFile) relocations(out, b []byte, inverse bool) bool {
	for i := range f.sections {
		s := &f.sections[i]
		if s.kind != sectionRela {
			continue
		}
		r, ok := newRela(f, s, b)
		if ok && inverse {
			ok = r.inverse(s.of(out))
		} else if ok {
			ok = r.forward(s.of(out))
		}
		if !ok {
			return false
		}
	}
	return true
}

// symtabs rewrites the symbol tables of out.
func (f *elfFile) symtabs(out, b []byte, inverse bool) {
	for i := range f.sections {
		if s := &f.sections[i]; s.kind == sectionSymtab {
			rewriteSymtab(s.of(out), f.strings(s, b), inverse)
		}
	}
}

// strings gives the string table of the symbol table s in b.
func (f *elfFile) strings(s *elfSection, b []byte) []byte {
	if t := f.at(s.link); t != nil {
		return t.of(b)
	}
	return nil
}

// newRela prepares to rewrite a section of relocations. The symbol table in b must have its
// original form.
func newRela(f *elfFile, s *elfSection, b []byte) (*relaRewriter, bool) {
	symtab := f.at(s.link)
	if symtab == nil || symtab.kind != sectionSymtab {
		return nil, false
	}
	symbols := f.symbolsOf(symtab, b)
	named := strings.HasPrefix(s.name, ".rela.text") ||
		strings.HasPrefix(s.name, ".rela.init.text") ||
		strings.HasPrefix(s.name, ".rela.data") ||
		strings.HasPrefix(s.name, ".rela.rodata")
	return &relaRewriter{table: symbols, b: b, named: named, last: map[uint32]uint64{}}, true
}
