package transform

import "slices"

// kernel rewrites the ELF file of an x86-64 Linux kernel, as it lies compressed in a bzImage: with
// a table of symbols for the kernel itself, and behind the section headers the tables of
// relocations that move it. The output is a file of the same length and headers, rewritten in
// place, then what end.append writes.
type kernel struct{}

func (kernel) Name() string { return "kernel" }

func (k kernel) Forward(plain []byte) ([]byte, bool) {
	if len(plain) > LargeMax {
		return nil, false
	}
	out, _, ok := k.rewrite(roomFor(plain))
	return out, ok
}

// rewrite implements inPlace.
func (kernel) rewrite(out []byte) ([]byte, Learnt, bool) {
	if len(out) > LargeMax {
		return nil, nil, false
	}
	f, ok := openKernel(out)
	if !ok || !f.findKallsyms(out) {
		return nil, nil, false
	}
	if f.names, ok = f.kallsyms.expand(out); !ok {
		return nil, nil, false
	}
	f.ordered = f.kallsyms.isOrdered(out)
	if !f.readPlaces(out) {
		return nil, nil, false
	}
	f.code(out, false)
	if !f.fields(out, false) {
		return nil, nil, false
	}
	f.absolutes(out, false)
	f.kallsyms.rewrite(out)
	for _, r := range f.relocs {
		differences(r, false)
	}
	f.places = nil // types take memory, too
	if t := f.types(out); t != nil && !t.forwardKernel() {
		return nil, nil, false
	}
	return f.end.append(out), nil, true
}

func (kernel) Inverse(out []byte, limit int64) ([]byte, error) {
	end, plain, ok := cutKernelEnd(out)
	if !ok {
		return nil, errCorrupt
	}
	if int64(len(plain)) > limit {
		return nil, errTooLong
	}
	f, ok := openKernel(plain)
	if !ok {
		return nil, errCorrupt
	}
	f.end = end
	if t := f.types(plain); t != nil && !t.inverseKernel() {
		return nil, errCorrupt
	}
	for _, r := range f.relocs {
		differences(r, true)
	}
	if !f.kallsyms.restore(plain, f.names) || !f.readPlaces(plain) || !f.absolutes(plain, true) ||
		!f.fields(plain, true) || !f.code(plain, true) {
		return nil, errCorrupt
	}
	for _, l := range f.listed {
		if len(l) > 0 {
			return nil, errCorrupt
		}
	}
	return plain, nil
}

// kernelFile is the outline of a kernel.
type kernelFile struct {
	*elfFile
	end
	*places
	loaded  []*elfSection // with bytes in the file, by the low half of their address
	symbols []kernelSymbol
	relocs  [relocTables][]byte
}

// The tables of relocations, each of them behind a zero and ascending (Linux,
// arch/x86/tools/relocs.c): the low halves of the addresses of fields. Since Linux 6.15 there is
// none of variables per processor.
const (
	reloc64     = iota // fields of eight bytes
	relocPerCPU        // fields of four bytes from which the distance is subtracted
	reloc32            // fields of four bytes
	relocTables
)

// openKernel reads the outline of a kernel, which rewriting does not change.
func openKernel(b []byte) (*kernelFile, bool) {
	e, ok := parseELF(b)
	if !ok || e.kind != elfTypeExec || e.machine != elfMachineX86 {
		return nil, false
	}
	f := &kernelFile{elfFile: e}
	for i := range f.sections {
		s := &f.sections[i]
		if s.flags&flagAlloc == 0 || s.size == 0 {
			continue
		}
		at := len(f.loaded)
		for at > 0 && uint32(f.loaded[at-1].addr) > uint32(s.addr) {
			at--
		}
		f.loaded = slices.Insert(f.loaded, at, s)
	}
	return f, f.findRelocs(b)
}

// findRelocs finds the tables of relocations from the end of the file on.
func (f *kernelFile) findRelocs(b []byte) bool {
	at := int(le.Uint64(b[40:])) + len(f.sections)*elfSectionSize
	var tables [][]byte
	for end := len(b) &^ 3; end-at >= 4; {
		begin := end
		for begin-4 >= at && le.Uint32(b[begin-4:]) != 0 {
			begin -= 4
		}
		if begin-4 < at || len(tables) == relocTables {
			return false
		}
		tables = append(tables, b[begin:end])
		end = begin - 4
	}
	if len(tables) < 2 {
		return false
	}
	f.relocs[reloc32], f.relocs[reloc64] = tables[0], tables[len(tables)-1]
	if len(tables) > 2 {
		f.relocs[relocPerCPU] = tables[1]
	}
	return true
}

// findKallsyms finds the symbols in the file's original form.
func (f *kernelFile) findKallsyms(b []byte) (ok bool) {
	text, data := f.section(".text"), f.section(".rodata")
	if text == nil || data == nil {
		return false
	}
	f.kallsyms, ok = findKallsyms(b, data, text.addr)
	return ok
}

// types gives the kernel's type information, or nil without any.
func (f *kernelFile) types(b []byte) *btf {
	if s := f.section(".BTF"); s != nil {
		if t, ok := parseBTF(s.of(b)); ok {
			return t
		}
	}
	return nil
}

// bytes gives the n bytes of the file that lie at an address in memory, or nil.
func (f *kernelFile) bytes(b []byte, addr uint32, n int) []byte {
	i, end := 0, len(f.loaded)
	for i < end {
		if middle := (i + end) / 2; uint32(f.loaded[middle].addr) <= addr {
			i = middle + 1
		} else {
			end = middle
		}
	}
	if i--; i < 0 {
		return nil
	}
	s := f.loaded[i]
	d := int64(addr - uint32(s.addr))
	if n < 0 || d+int64(n) > int64(s.size) {
		return nil
	}
	return b[s.off+int(d) : s.off+int(d)+n]
}

// differences makes each number the difference from the one before, or undoes that.
func differences(b []byte, inverse bool) {
	for last := uint32(0); len(b) >= 4; b = b[4:] {
		v := le.Uint32(b)
		if inverse {
			v += last
			le.PutUint32(b, v)
		} else {
			le.PutUint32(b, v-last)
		}
		last = v
	}
}

// end is what inverse needs beside the rewritten file.
type end struct {
	kallsyms
	names  *nameText
	listed [kernelLists][]uint32
}

// The lists of numbers for which placeListed stands, by where they are.
const (
	listCode = iota
	listFields
	list64
	list32
	kernelLists
)

// append appends e to a file: the names and the lists, then the length of each of these, how names
// are compressed, and where the symbols are.
func (e *end) append(b []byte) []byte {
	b = append(b, e.names.text...)
	for _, l := range e.listed {
		for _, v := range l {
			b = le.AppendUint32(b, v)
		}
	}
	b = le.AppendUint32(b, uint32(len(e.names.text)))
	for _, l := range e.listed {
		b = le.AppendUint32(b, uint32(len(l)))
	}
	b = e.names.append(b)
	return e.kallsyms.append(b)
}

// cutKernelEnd reads what append has appended to b, and gives the file before it.
func cutKernelEnd(b []byte) (e end, plain []byte, ok bool) {
	const fixed = 4 + 4*kernelLists + nameTextSize + kallsymsSize
	if len(b) < fixed {
		return e, nil, false
	}
	size, counts := uint64(le.Uint32(b[len(b)-fixed:])), b[len(b)-fixed+4:]
	plain = b[:len(b)-fixed]
	for i := kernelLists - 1; i >= 0; i-- {
		n := uint64(le.Uint32(counts[4*i:])) * 4
		if n > uint64(len(plain)) {
			return e, nil, false
		}
		e.listed[i] = words(plain[len(plain)-int(n):])
		plain = plain[:len(plain)-int(n)]
	}
	if size > nameTextMax || size > uint64(len(plain)) {
		return e, nil, false
	}
	e.names = &nameText{text: plain[len(plain)-int(size):]}
	plain = plain[:len(plain)-int(size)]
	e.names.read(counts[4*kernelLists:])
	e.kallsyms = readKallsyms(counts[4*kernelLists+nameTextSize:])
	return e, plain, e.kallsyms.within(len(plain))
}
