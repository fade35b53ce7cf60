package transform

// Relocation types of x86-64 whose addend is 4 less than the offset that they refer to.
const (
	relocPC32  = 2
	relocPLT32 = 4
)

// relaRewriter rewrites the records of one section of relocations:
//
//	u64 offset   less the offset of the record before
//	u32 type     as it is
//	u32 symbol   its token
//	u64 addend   below
//
// An addend to a section symbol is an address in that section. In relocations of code or data
// (named) it becomes the token of the string or symbol there and the distance from it. In other
// relocations, which mostly go through the code from front to back, it becomes the distance from
// the last addend to the same symbol.
type relaRewriter struct {
	table *symbolTable
	b     []byte // the file, in which string tables have their original form
	named bool
	prev  uint64
	last  map[uint32]uint64
}

func (r *relaRewriter) forward(records []byte) bool {
	for ; len(records) >= elfRelaSize; records = records[elfRelaSize:] {
		offset, kind, sym, addend := le.Uint64(records), le.Uint32(
			records[8:],
		), le.Uint32(records[12:]), le.Uint64(records[16:])
		token, ok := r.table.token(sym)
		if !ok {
			return false
		}
		if s := r.table.symbols[sym]; s.kind == symbolKindSection {
			if !r.named {
				addend, r.last[sym] = addend-r.last[sym], addend
			} else {
				if addend, ok = r.name(int(s.section), addend+bias(kind)); !ok {
					return false
				}
			}
		}
		le.PutUint64(records, offset-r.prev)
		le.PutUint32(records[12:], token)
		le.PutUint64(records[16:], addend)
		r.prev = offset
	}
	return true
}

func (r *relaRewriter) inverse(records []byte) bool {
	for ; len(records) >= elfRelaSize; records = records[elfRelaSize:] {
		offset, kind, token, addend := le.Uint64(records), le.Uint32(
			records[8:],
		), le.Uint32(records[12:]), le.Uint64(records[16:])
		sym, ok := r.table.number(token)
		if !ok {
			return false
		}
		if s := r.table.symbols[sym]; s.kind == symbolKindSection {
			if !r.named {
				addend += r.last[sym]
				r.last[sym] = addend
			} else {
				if addend, ok = r.unname(int(s.section), addend); !ok {
					return false
				}
				addend -= bias(kind)
			}
		}
		r.prev += offset
		le.PutUint64(records, r.prev)
		le.PutUint32(records[12:], sym)
		le.PutUint64(records[16:], addend)
	}
	return true
}

func bias(kind uint32) uint64 {
	if kind == relocPC32 || kind == relocPLT32 {
		return 4
	}
	return 0
}

// name turns an address in a section into a token (high half) and the distance from its anchor (low
// half). Token 0 means that there is no anchor, and the low half is the address.
func (r *relaRewriter) name(section int, target uint64) (uint64, bool) {
	a := r.table.in(section, r.b)
	if int64(target) >= 0 {
		if i, ok := a.before(target); ok {
			distance := target - a.values[i]
			return uint64(a.tokens.of[i])<<32 | distance, distance>>32 == 0
		}
	}
	return uint64(uint32(target)), uint64(int64(int32(target))) == target
}

func (r *relaRewriter) unname(section int, stored uint64) (uint64, bool) {
	token := uint32(stored >> 32)
	if token == 0 {
		return uint64(int64(int32(stored))), true
	}
	a := r.table.in(section, r.b)
	i, ok := a.tokens.index[token]
	if !ok {
		return 0, false
	}
	return a.values[i] + uint64(uint32(stored)), true
}
