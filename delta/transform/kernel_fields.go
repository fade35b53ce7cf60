package transform

// fields is an array in a kernel whose records hold addresses as distances from the field itself.
type fields struct {
	section     string // its section, or:
	start, stop string // the symbols at its beginning and its end
	stride      int    // bytes of a record
	placed      []int  // where in a record fields become places
	stepped     []int  // where they become the distance from the address in the record before
}

// kernelFields are the arrays that are rewritten. Those in the order of the code are stepped.
var kernelFields = []fields{
	{section: "__ksymtab", stride: 12, placed: []int{0, 4, 8}},
	{section: "__ksymtab_gpl", stride: 12, placed: []int{0, 4, 8}},
	{section: "__ex_table", stride: 12, placed: []int{4}, stepped: []int{0}},
	{section: ".pci_fixup", stride: 16, placed: []int{12}},
	{section: "__bug_table", stride: 12, placed: []int{4}, stepped: []int{0}},
	{section: altinstructions, stride: 14, stepped: []int{0, 4}},
	{section: ".orc_unwind_ip", stride: 4, stepped: []int{0}},
	{section: ".retpoline_sites", stride: 4, stepped: []int{0}},
	{section: ".return_sites", stride: 4, stepped: []int{0}},
	{section: ".call_sites", stride: 4, stepped: []int{0}},
	{section: ".ibt_endbr_seal", stride: 4, stepped: []int{0}},
	{section: ".smp_locks", stride: 4, stepped: []int{0}},
	{
		start: "__start___jump_table", stop: "__stop___jump_table",
		stride: 16, placed: []int{0, 4, 8},
	},
	{
		start: "__start_static_call_sites", stop: "__stop_static_call_sites",
		stride: 8, placed: []int{0, 4},
	},
	{
		start: "__start_static_call_tramp_key", stop: "__stop_static_call_tramp_key",
		stride: 8, placed: []int{0, 4},
	},
	{
		start: "__start___tracepoints_ptrs", stop: "__stop___tracepoints_ptrs",
		stride: 4, placed: []int{0},
	},
	{start: "__initcall_start", stop: "__initcall_end", stride: 4, placed: []int{0}},
	{start: "__con_initcall_start", stop: "__con_initcall_end", stride: 4, placed: []int{0}},
}

const (
	altinstructions = ".altinstructions"
	altShort        = 12 // bytes of its records before Linux 6.3, which has .parainstructions
)

// array finds an array: its bytes in b, its address and the length of its records.
func (f *kernelFile) array(b []byte, t *fields) (d []byte, addr uint32, stride int) {
	stride = t.stride
	if t.section == altinstructions && f.section(".parainstructions") != nil {
		stride = altShort
	}
	if t.section != "" {
		if s := f.section(t.section); s != nil && s.size > 0 {
			return s.of(b), uint32(s.addr), stride
		}
		return nil, 0, stride
	}
	from, ok1 := f.symbol(t.start)
	to, ok2 := f.symbol(t.stop)
	if !ok1 || !ok2 || to < from {
		return nil, 0, stride
	}
	return f.bytes(b, from, int(to-from)), from, stride
}

// symbol gives the address of the first symbol with a name.
func (f *kernelFile) symbol(name string) (addr uint32, ok bool) {
	h := hashKernelName([]byte(name))
	for _, s := range f.symbols {
		if s.hash == h {
			return s.addr, true
		}
	}
	return 0, false
}

// fields rewrites the arrays.
func (f *kernelFile) fields(b []byte, inverse bool) bool {
	c := placeCoder{f.places, f.listed[listFields]}
	ok := true
	for i := range kernelFields {
		t := &kernelFields[i]
		d, addr, stride := f.array(b, t)
		last := make([]uint32, len(t.stepped))
		for ; len(d) >= stride && ok; d, addr = d[stride:], addr+uint32(stride) {
			for i, at := range t.stepped {
				last[i] = step(d[at:], addr+uint32(at), last[i], inverse)
			}
			for _, at := range t.placed {
				ok = ok && c.field(d[at:], addr+uint32(at), inverse)
			}
		}
	}
	f.listed[listFields] = c.listed
	return ok
}

// step rewrites the field p at an address. It gives the address in the field.
func step(p []byte, addr, last uint32, inverse bool) uint32 {
	v := le.Uint32(p)
	if inverse {
		last += v
		le.PutUint32(p, last-addr)
		return last
	}
	le.PutUint32(p, v+addr-last)
	return v + addr
}

// field rewrites the field p at an address.
func (c *placeCoder) field(p []byte, addr uint32, inverse bool) bool {
	v, ok := le.Uint32(p), true
	if v == 0 {
		return true
	}
	if inverse {
		v, ok = c.relativeBack(v, addr)
	} else {
		v = c.relative(v, addr, addr, false)
	}
	le.PutUint32(p, v)
	return ok
}

// absolutes rewrites the fields that relocations name.
func (f *kernelFile) absolutes(b []byte, inverse bool) bool {
	return f.absolute(b, reloc64, list64, inverse) && f.absolute(b, reloc32, list32, inverse)
}

// absolute rewrites the fields that one table of relocations names. Of eight bytes the high half
// stays.
func (f *kernelFile) absolute(b []byte, table, list int, inverse bool) bool {
	c := placeCoder{f.places, f.listed[list]}
	ok := true
	for r := f.relocs[table]; len(r) >= 4 && ok; r = r[4:] {
		p := f.bytes(b, le.Uint32(r), 4)
		if p == nil {
			continue
		}
		v := le.Uint32(p)
		if inverse {
			v, ok = c.absoluteBack(v)
		} else {
			v = c.absolute(v)
		}
		le.PutUint32(p, v)
	}
	f.listed[list] = c.listed
	return ok
}

// code rewrites the branches in code, and its addresses relative to the next instruction.
func (f *kernelFile) code(b []byte, inverse bool) bool {
	c := placeCoder{f.places, f.listed[listCode]}
	ok := true
	for i := range f.sections {
		s := &f.sections[i]
		if s.flags&flagExec == 0 || s.size == 0 {
			continue
		}
		code, base := s.of(b), uint32(s.addr)
		x86Refs(code, func(kind, field, next int) {
			v := le.Uint32(code[field:])
			if kind == refAbsolute || v == 0 || !ok {
				return
			}
			if inverse {
				v, ok = c.relativeBack(v, base+uint32(next))
			} else {
				v = c.relative(v, base+uint32(next), base+uint32(field), true)
			}
			le.PutUint32(code[field:], v)
		})
	}
	f.listed[listCode] = c.listed
	return ok
}
