package xzutils

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
)

// Limits of an LZMA2 chunk in bytes.
const (
	chunkMax   = 1 << 16
	chunkPlain = 1 << 21
	// chunkRoom is what a chunk keeps free for the symbols that the parser has decided already.
	chunkRoom = optimals + 1
)

// encoderMemory is more than what an encoder takes in bytes, without the tables of its finder.
const encoderMemory = 512 << 10

// errDiffers is returned when other bytes are written than expected.
var errDiffers = errors.New("xzutils: other bytes were expected")

// newEncoder makes an encoder of blocks of up to so many bytes.
func newEncoder(o options, block int64) *encoder {
	e := &encoder{options: o, finder: newFinder(o, block)}
	e.posMask = 1<<o.pb - 1
	e.literalMask = 0x100<<o.lp - 0x100>>o.lc
	e.prices.slotsUsed = 2 * uint32(bits.Len32(o.dict-1))
	e.rc.out = make([]byte, 0, chunkMax)
	return e
}

// chunkBody gives the compressed bytes of a chunk and what follows them, and nothing of a chunk
// that is not compressed.
func chunkBody(b []byte) []byte {
	switch {
	case len(b) > 6 && b[0] >= 0xc0:
		return b[6:]
	case len(b) > 5 && b[0] >= 0x80:
		return b[5:]
	}
	return nil
}

// block writes a block as LZMA2. With want, it fails with errDiffers as soon as it sees that it
// will not write what want begins with. It compares compressed chunks alone.
func (e *encoder) block(w io.Writer, plain, want []byte) error {
	e.finder.reset(plain)
	e.resetState()
	e.started, e.coded = false, 0
	first, props, reset := true, true, false
	for e.avail()+e.ahead > 0 {
		if reset {
			e.resetState()
		}
		start := e.pos - e.ahead
		if err := e.chunk(start, chunkBody(want)); err != nil {
			return err
		}
		var head []byte
		packed, size := e.rc.out, e.pos-e.ahead-start
		if len(packed) < int(size) {
			head = chunkHead(size, len(packed), props, first, reset)
			if props {
				head = append(head, propertyByte(e.options))
			}
			props, reset = false, false
		} else {
			size += e.ahead
			e.ahead = 0
			packed, reset = plain[start:start+size], true
			head = []byte{2, byte((size - 1) >> 8), byte(size - 1)}
			if first {
				head[0] = 1
			}
		}
		first = false
		want = want[min(len(want), len(head)+len(packed)):]
		if _, err := w.Write(head); err != nil {
			return err
		}
		if _, err := w.Write(packed); err != nil {
			return err
		}
	}
	_, err := w.Write([]byte{0})
	return err
}

// chunkHead gives the first five bytes of a compressed chunk.
func chunkHead(size uint32, packed int, props, first, reset bool) []byte {
	control := byte(0x80)
	switch {
	case props && first:
		control = 0xe0
	case props:
		control = 0xc0
	case reset:
		control = 0xa0
	}
	size, n := size-1, packed-1
	return append(make([]byte, 0, 6),
		control|byte(size>>16), byte(size>>8), byte(size), byte(n>>8), byte(n))
}

// chunk codes symbols until the chunk is full or the block ends. It fails when they differ from
// want, unless that is empty.
func (e *encoder) chunk(start uint32, want []byte) error {
	e.rc.out = e.rc.out[:0]
	if !e.started {
		e.skip(1)
		e.ahead = 0
		e.rc.bit(&e.isMatch[0][0], 0)
		e.rc.tree(e.literals[:], 8, uint32(e.buf[0]))
		e.coded++
		e.started = true
	}
	const step = 256 // compressed bytes that are compared at once
	compared := 0
	for e.pos-e.ahead < start+chunkPlain-maxMatch && e.rc.size() < chunkMax-chunkRoom &&
		e.avail()+e.ahead > 0 {
		if e.normal {
			e.symbol(e.optimal())
		} else {
			e.symbol(e.fast())
		}
		if len(want) > 0 && len(e.rc.out) >= compared+step {
			if !bytes.HasPrefix(want[compared:], e.rc.out[compared:]) {
				return errDiffers
			}
			compared = len(e.rc.out)
		}
	}
	e.rc.flush()
	return nil
}

// propertyByte gives lc, lp and pb as a chunk's header has them.
func propertyByte(o options) byte { return (o.pb*5+o.lp)*9 + o.lc }

// setProperties is the inverse of propertyByte.
func (o *options) setProperties(b byte) bool {
	if b > (4*5+4)*9+8 {
		return false
	}
	o.lc, o.lp, o.pb = b%9, b/9%5, b/45
	return o.lc+o.lp <= 4
}

// dictCode gives the length of a dictionary as a block's header has it, rounded up.
func dictCode(dict uint32) byte {
	for code := byte(0); ; code++ {
		if size, ok := dictSize(code); !ok || size >= dict {
			return code
		}
	}
}

// dictSize is the inverse of dictCode.
func dictSize(code byte) (uint32, bool) {
	if code >= 40 {
		return 0, false
	}
	return (2 | uint32(code)&1) << (code/2 + 11), true
}
