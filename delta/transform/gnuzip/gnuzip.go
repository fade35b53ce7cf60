// Package gnuzip writes deflate streams (RFC 1951) that equal, bit for bit, those of GNU gzip and
// of zlib. With it a .gz file can be stored decompressed, because its compressed bytes can be made
// again.
//
// Both programs descend from the same deflate: hash chains over a sliding window of 32 KiB, lazy
// matching, Huffman trees built with a heap. [Encode] makes every decision as they do, also where a
// decompressor does not care: which of two equally long matches wins, where a block ends, how ties
// in a tree are broken. It does not try to be faster than they are.
package gnuzip

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Family is the program whose decisions Encode follows.
type Family uint8

const (
	// GNU is GNU gzip since 1.2.4. Its blocks have up to 32767 symbols and end early where that
	// seems to pay.
	GNU Family = iota
	// Zlib is zlib at its default memLevel 8. Its blocks have 16383 symbols. Python's gzip, Perl's
	// IO::Compress, dpkg and most other programs use it.
	Zlib
)

// Params says which program Encode follows, and at which level.
type Params struct {
	Family Family
	Level  int // 1 to 9
}

// errParams is returned for a family or level that does not exist.
var errParams = errors.New("gnuzip: no such parameters")

// Valid tells whether the parameters exist.
func (p Params) Valid() bool {
	return p.Family <= Zlib && p.Level >= 1 && p.Level <= 9
}

// Encode writes plain to w as one deflate stream, as the program does when it gets all of plain at
// once. It stops at w's first error and returns it. For parameters that do not exist it returns
// errParams.
func Encode(w io.Writer, plain []byte, p Params) error {
	return EncodeFrom(w, bytes.NewReader(plain), p)
}

// EncodeFrom is Encode of what plain reads to its end. It takes up to 1 MiB of memory, whatever the
// length. It stops at the first error of w or plain and returns it.
func EncodeFrom(w io.Writer, plain io.Reader, p Params) error {
	if !p.Valid() {
		return errParams
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	e.reset(w, plain, p)
	e.start()
	if p.Level <= 3 {
		e.greedy()
	} else {
		e.lazy()
	}
	if e.readErr != io.EOF {
		return e.readErr
	}
	e.endBlock(true)
	return e.out.close()
}

// encoders are used again, because one takes 0.4 MB.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// reset makes a new encoder of one that was released.
func (e *encoder) reset(w io.Writer, plain io.Reader, p Params) {
	clear(e.window[:])
	clear(e.head[:])
	e.family, e.level, e.search = p.Family, p.Level, searches[p.Level]
	if e.blockSymbols = 1<<15 - 1; p.Family == Zlib {
		e.blockSymbols = 1<<14 - 1
	}
	e.src, e.out.w = plain, w
	e.resetBlock()
}

// release keeps the memory of e alone.
func (e *encoder) release() {
	e.state = state{symbols: e.symbols[:0], out: bitWriter{buf: e.out.buf[:0]}}
	encoders.Put(e)
}

// search holds the limits of one level. Both programs have the same table.
type search struct {
	good int // from this length of the previous match on, follow chains a quarter as far
	// take a match of this length at once; in greedy levels: longest match whose inside is hashed
	lazy  int
	nice  int // a match of this length ends the search
	chain int // longest walk along a hash chain
}

var searches = [10]search{
	1: {4, 4, 8, 4},
	2: {4, 5, 16, 8},
	3: {4, 6, 32, 32},
	4: {4, 4, 16, 16},
	5: {8, 16, 32, 32},
	6: {8, 16, 128, 128},
	7: {8, 32, 128, 256},
	8: {32, 128, 258, 1024},
	9: {32, 258, 258, 4096},
}
