package transform

import (
	"bytes"
	"slices"
)

// Encodings of pointers in unwind tables (Linux Standard Base, Exception Frames). The transform
// rewrites no others; all compilers for x86-64 and arm64 use these.
const (
	ehPCRelative4   = 0x1b
	ehUnsigned4     = 0x03
	ehTableRelative = 0x3b
	ehHeaderSize    = 12
)

// ehTable gives the table of .eh_frame_hdr: pairs of a function's start and the place of its unwind
// entry, four bytes each, relative to the section, ascending by start.
func ehTable(b []byte) ([]byte, bool) {
	if len(b) < ehHeaderSize || b[0] != 1 || b[1] != ehPCRelative4 || b[2] != ehUnsigned4 ||
		b[3] != ehTableRelative {
		return nil, false
	}
	n := le.Uint32(b[8:])
	if uint64(n)*8 > uint64(len(b)-ehHeaderSize) {
		return nil, false
	}
	return b[ehHeaderSize : ehHeaderSize+n*8], true
}

// rewriteEHTable makes each pair relative to the one before, or with inverse undoes that.
func rewriteEHTable(table []byte, inverse bool) {
	var start, place uint32
	for ; len(table) >= 8; table = table[8:] {
		a, b := le.Uint32(table), le.Uint32(table[4:])
		if inverse {
			start += a
			place += b
			le.PutUint32(table, start)
			le.PutUint32(table[4:], place)
		} else {
			le.PutUint32(table, a-start)
			le.PutUint32(table[4:], b-place)
			start, place = a, b
		}
	}
}

// ehStarts gives the addresses of functions from a table in its original form, of a section at
// addr.
func ehStarts(table []byte, addr uint64) []uint64 {
	// Sorted as signed numbers with the top bit turned round: the program has that sort anyway.
	const top = 1 << 63
	keys := make([]int64, 0, len(table)/8)
	for ; len(table) >= 8; table = table[8:] {
		keys = append(keys, int64(addr+uint64(int64(int32(le.Uint32(table))))^top))
	}
	slices.Sort(keys)
	starts := make([]uint64, 0, len(keys))
	for _, key := range slices.Compact(keys) {
		starts = append(starts, uint64(key)^top)
	}
	return starts
}

// rewriteEHFrame makes the entries of .eh_frame relative: a function's start to the end of the
// function before, the place of its common entry to that of the one before, and its pointer into
// the exception table (of C++) to the one before. At an entry that it does not understand it stops,
// in both directions at the same one.
func rewriteEHFrame(b []byte, inverse bool) {
	var end, common, table uint32
	commons := map[uint32]ehCommon{}
	for at := 0; at+12 <= len(b); {
		length := int(le.Uint32(b[at:]))
		next := at + 4 + length
		if length < 8 || length > len(b)-at-4 {
			return
		}
		id := le.Uint32(b[at+4:])
		if id == 0 {
			commons[uint32(at)] = parseCommon(b[at+8 : next])
			at = next
			continue
		}
		place := uint32(at+4) - id // place of the common entry
		if inverse {
			place = (id ^ ehEntry) + common
			le.PutUint32(b[at+4:], uint32(at+4)-place)
		} else {
			le.PutUint32(b[at+4:], (place-common)^ehEntry)
		}
		common = place
		c := commons[place]
		if length < 12 || !c.known {
			at = next
			continue
		}
		end = relate(b[at+8:], uint32(at+8), end, inverse)
		end += le.Uint32(b[at+12:])
		if c.table && length >= 17 && b[at+16] == 4 && le.Uint32(b[at+17:]) != 0 {
			table = relate(b[at+17:], uint32(at+17), table, inverse)
		}
		at = next
	}
}

// ehEntry marks the rewritten entry of a function, since 0 means a common entry.
const ehEntry = 1 << 31

// relate turns a number that counts from its own place into one that counts from another, or with
// inverse back. It gives the position that the number stands for.
func relate(p []byte, place, from uint32, inverse bool) uint32 {
	v := le.Uint32(p)
	if inverse {
		le.PutUint32(p, v+from-place)
		return v + from
	}
	le.PutUint32(p, v+place-from)
	return v + place
}

// ehCommon is what a common entry says about the entries that refer to it.
type ehCommon struct {
	known bool // the start of the function counts from its own place, in four bytes
	table bool // there is a pointer into an exception table that does so too
}

// parseCommon reads the part of a common entry behind its id.
func parseCommon(b []byte) (c ehCommon) {
	if len(b) < 2 || b[0] != 1 {
		return c
	}
	n := bytes.IndexByte(b[1:], 0)
	if n < 1 || b[1] != 'z' {
		return c
	}
	letters := b[2 : 1+n]
	b = b[2+n:]
	for range 2 { // alignment factors
		b = skipLEB(b)
	}
	if len(b) < 2 {
		return c
	}
	b = skipLEB(b[1:]) // return register, length of what follows
	for _, l := range letters {
		if len(b) == 0 {
			return ehCommon{}
		}
		switch l {
		case 'R':
			c.known = b[0] == ehPCRelative4
			b = b[1:]
		case 'L':
			c.table = b[0] == ehPCRelative4
			b = b[1:]
		case 'P':
			if b[0]&15 != ehPCRelative4&15 || len(b) < 5 {
				return ehCommon{}
			}
			b = b[5:]
		case 'S', 'B':
		default:
			return ehCommon{}
		}
	}
	return c
}

func skipLEB(b []byte) []byte {
	for i, c := range b {
		if c < 0x80 {
			return b[i+1:]
		}
	}
	return nil
}
