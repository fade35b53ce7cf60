// Package xzutils writes .xz files that equal, bit for bit, those of XZ Utils 5.4 to 5.8, which
// means those of its library liblzma. With it a .xz file can be stored decompressed, because its
// compressed bytes can be made again.
//
// [Decompress] gives a file's content, and [Find] the parameters that it was made with. [Encode]
// makes the file of both. It makes every decision as liblzma does, also where a decompressor does
// not care: which match is found first, when prices are computed again, where a chunk ends. It does
// not try to be faster or smaller than liblzma.
//
// The filters are LZMA2, and before it x86 or none. Files of several streams, and files of encoders
// that are not liblzma, are not made again.
package xzutils

import (
	"encoding/binary"
	"errors"
	"io"
)

// Params says how a file was made. Its zero value is not valid.
type Params struct {
	check check
	x86   bool // the branches' targets are made absolute before LZMA2
	lzma  options

	// blockSize is the length in bytes of the content of each block but the last. It is 0 for a
	// file that is one block.
	blockSize int64
	// sized tells that block headers hold the sizes of their block, as threads write them.
	sized bool
}

// options are those of the LZMA2 filter.
type options struct {
	dict       uint32 // length of the dictionary in bytes
	lc, lp, pb uint8
	normal     bool // the mode: normal with the optimal parser, or fast
	finder     finderKind
	nice       uint16 // a match of this length ends the search
	depth      uint32 // most steps of a search
}

// finderKind says how matches are found: by chains or trees of positions whose first bytes have the
// same hash. Its low half is the number of these bytes.
type finderKind uint8

const (
	chains3 finderKind = 0x03
	chains4 finderKind = 0x04
	trees2  finderKind = 0x12
	trees3  finderKind = 0x13
	trees4  finderKind = 0x14
)

func (k finderKind) hashed() int { return int(k & 15) }
func (k finderKind) trees() bool { return k&0x10 != 0 }

// Limits of parameters. maxContent keeps positions within 32 bits.
const (
	minDict    = 4 << 10
	maxDict    = 1536 << 20
	maxContent = 1 << 30
	maxDepth   = 512 // of all presets; it bounds the time
	// maxCleared is how many bytes of tables are cleared for each byte of a block. More would take
	// longer than all else: somebody has made the blocks so short on purpose.
	maxCleared = 4096
)

// errParams is returned for parameters that liblzma refuses or Encode does not know.
var errParams = errors.New("xzutils: no such parameters")

// paramsSize is the length of encoded parameters in bytes without their block size.
const paramsSize = 8

// Append appends the encoded parameters to b.
func (p Params) Append(b []byte) []byte {
	flags := byte(p.check)
	for i, set := range []bool{p.x86, p.sized, p.lzma.normal} {
		if set {
			flags |= 1 << (4 + i)
		}
	}
	o := p.lzma
	b = append(b, flags, dictCode(o.dict), propertyByte(o), byte(o.finder))
	b = binary.LittleEndian.AppendUint16(b, o.nice)
	b = binary.LittleEndian.AppendUint16(b, uint16(o.depth))
	return binary.AppendUvarint(b, uint64(p.blockSize))
}

// Parse reads parameters that Append has encoded, and gives the bytes behind them.
func Parse(b []byte) (p Params, rest []byte, err error) {
	if len(b) < paramsSize {
		return Params{}, nil, errParams
	}
	flags := b[0]
	p.check = check(flags & 15)
	p.x86, p.sized = flags&(1<<4) != 0, flags&(1<<5) != 0
	o := &p.lzma
	var ok bool
	if o.dict, ok = dictSize(b[1]); !ok || flags&(1<<7) != 0 || !o.setProperties(b[2]) {
		return Params{}, nil, errParams
	}
	o.normal, o.finder = flags&(1<<6) != 0, finderKind(b[3])
	o.nice = binary.LittleEndian.Uint16(b[4:])
	o.depth = uint32(binary.LittleEndian.Uint16(b[6:]))
	size, n := binary.Uvarint(b[paramsSize:])
	if n <= 0 || size > maxContent {
		return Params{}, nil, errParams
	}
	p.blockSize = int64(size)
	if !p.valid() {
		return Params{}, nil, errParams
	}
	return p, b[paramsSize+n:], nil
}

// valid tells whether the parameters exist.
func (p Params) valid() bool {
	o := p.lzma
	switch o.finder {
	case chains3, chains4, trees2, trees3, trees4:
	default:
		return false
	}
	return p.check.size() >= 0 && p.blockSize >= 0 && p.blockSize <= maxContent &&
		(p.blockSize > 0 || !p.sized) &&
		o.dict >= minDict && o.dict <= maxDict &&
		(p.blockSize == 0 || hashMemory(o) <= maxCleared*p.blockSize) &&
		o.lc+o.lp <= 4 && o.pb <= 4 &&
		int(o.nice) >= max(minMatch, o.finder.hashed()) && o.nice <= maxMatch &&
		o.depth > 0 && o.depth <= maxDepth
}

// Encode writes plain to w as a .xz file, as xz does. It stops at w's first error and returns it.
// It takes [Params.Memory] bytes beside plain.
func Encode(w io.Writer, plain []byte, p Params) error {
	if !p.valid() || len(plain) > maxContent {
		return errParams
	}
	return (&stream{w: w, params: p}).write(plain)
}

// Memory gives the bytes of memory that Encode takes for a content of so many bytes. Most of it
// depends on the dictionary.
func (p Params) Memory(content int64) int64 {
	block := content
	if p.blockSize > 0 {
		block = min(block, p.blockSize)
	}
	m := encoderMemory + finderMemory(p.lzma, block)
	if p.sized {
		m += packedRoom(block)
	}
	if p.x86 {
		m += block
	}
	return m
}
