package patchset

import (
	"bytes"
	"math/bits"

	"github.com/andybalholm/brotli"
)

// encoders are the encoders of coders, by the same ids. They are in another table so that a program
// that only decodes is built without them: brotli's encoder alone takes 700 kB. Each tells fed of
// the bytes of plain as it takes them.
var encoders = [len(coders)]func(plain []byte, fed func(n int)) []byte{
	0: func(p []byte, fed func(n int)) []byte {
		fed(len(p))
		return p
	},
	1: encodeBrotli,
}

// unheard is for bytes that nobody wants to be told of.
func unheard(int) {}

// smallest compresses plain with the coder that makes it smallest, or of several the one with the
// smallest id. fed is told of the bytes of plain as a coder takes them.
func smallest(plain []byte, fed func(n int)) (id int, stored []byte) {
	stored = plain
	if dense(plain) {
		return 0, stored
	}
	for i := 1; i < len(encoders); i++ {
		if i > 1 {
			fed = unheard // no byte counts twice
		}
		if b := encoders[i](plain, fed); len(b) < len(stored) {
			id, stored = i, b
		}
	}
	return id, stored
}

// dense tells whether plain is compressed already. The best coders take longest of all to find that
// out.
func dense(plain []byte) bool {
	const worthAsking = 1 << 20
	return len(plain) >= worthAsking &&
		len(estimator().EncodeAll(plain, nil)) > len(plain)-len(plain)/1000
}

const (
	brotliQuality   = 11
	brotliWindowMin = 10 // log2
	brotliWindowMax = 23 // log2; the decoder takes the window in memory
)

// fedPiece is how many bytes brotli is fed at a time: its own block, which takes a second.
const fedPiece = 256 << 10

func encodeBrotli(plain []byte, fed func(n int)) []byte {
	var b bytes.Buffer
	window := min(max(bits.Len(uint(len(plain))), brotliWindowMin), brotliWindowMax)
	w := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: brotliQuality, LGWin: window})
	for len(plain) > 0 {
		n := min(len(plain), fedPiece)
		if _, err := w.Write(plain[:n]); err != nil {
			panic(err) // a Buffer never fails
		}
		plain = plain[n:]
		fed(n)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
