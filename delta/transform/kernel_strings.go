package transform

import (
	"slices"
	"strings"
)

// readPlaces makes the places of symbols and of strings in read-only data. Strings are merged when
// a kernel is linked, so that one more moves all others. Relocations and symbols must have their
// original form.
func (f *kernelFile) readPlaces(b []byte) bool {
	f.symbols = f.kallsyms.symbols(b)
	spans, ok := f.spans()
	if !ok {
		return false
	}
	named := slices.Clone(f.symbols)
	for i := range f.sections {
		s := &f.sections[i]
		if s.name == ".rodata" || s.name == ".init.data" || s.name == "__ksymtab_strings" {
			named, ok = addStrings(named, s.of(b), uint32(s.addr), f.rewritten(b, s))
			if !ok {
				return false
			}
		}
	}
	f.places, ok = newPlaces(named, spans)
	return ok
}

// spans gives the extent of the variables per processor, which have addresses from 0 on, and that
// of all else.
func (f *kernelFile) spans() (spans [2]span, ok bool) {
	low, high := ^uint32(0), uint32(0)
	for i := range f.sections {
		s := &f.sections[i]
		if s.flags&flagAlloc == 0 || s.mem == 0 || s.name == ".init.scratch" {
			continue
		}
		from, to := uint32(s.addr), s.addr&(1<<32-1)+s.mem
		switch {
		case s.mem > kernelSpan || to >= 1<<32:
			return spans, false
		case s.addr>>32 == 0:
			spans[0] = span{from, uint32(to)}
		default:
			low, high = min(low, from), max(high, uint32(to))
		}
	}
	spans[1] = span{low, high}
	return spans, low < high && high-low <= kernelSpan && spans[0].to <= low
}

// bitset has a bit for each byte of a section.
type bitset []uint64

func (s bitset) set(from, to int) {
	for i := from; i < to; i++ {
		s[i/64] |= 1 << (i % 64)
	}
}

func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

// rewritten marks the bytes of a section that may change when the file is rewritten.
func (f *kernelFile) rewritten(b []byte, s *elfSection) bitset {
	marked := make(bitset, (s.size+63)/64)
	mark := func(from, n int64) {
		from, to := max(0, from), min(int64(s.size), from+n)
		if from < to {
			marked.set(int(from), int(to))
		}
	}
	for _, r := range f.relocs {
		for ; len(r) >= 4; r = r[4:] {
			if addr := le.Uint32(r); addr >= uint32(s.addr) {
				mark(int64(addr-uint32(s.addr)), 4)
			}
		}
	}
	for i := range kernelFields {
		if d, addr, _ := f.array(b, &kernelFields[i]); d != nil {
			mark(int64(addr)-int64(uint32(s.addr)), int64(len(d)))
		}
	}
	for _, p := range f.kallsyms.parts() {
		mark(int64(p.from)-int64(s.off), int64(p.to)-int64(p.from))
	}
	return marked
}

// namedMax bounds the symbols and strings of a kernel.
const namedMax = 600_000

// addStrings adds the strings in a section at an address to what has a name. ok is false when there
// are more than namedMax.
func addStrings(named []kernelSymbol, b []byte, addr uint32,
	marked bitset) (_ []kernelSymbol, ok bool) {
	const least = 2 // bytes
	begin := 0      // of a string; behind at when the bytes there are none
	for at, c := range b {
		switch {
		case marked.has(at):
			begin = at + 1
		case c == 0:
			if at-begin >= least {
				if len(named) >= namedMax {
					return nil, false
				}
				hash := hashString(b[begin:min(at, begin+stringMax)])
				named = append(named, kernelSymbol{addr + uint32(begin), hash})
			}
			begin = at + 1
		case c >= 0x7f || c < ' ' && !strings.ContainsRune("\x01\t\n", rune(c)):
			begin = len(b) // up to the next zero
		}
	}
	return named, true
}

func hashString(b []byte) uint32 { return hashName(string(b)) }
