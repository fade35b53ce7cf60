package patchset

import (
	"bytes"
	"math/bits"

	"github.com/andybalholm/brotli"
)

// encoders are the encoders of coders, by the same ids. They are in another table so that a program
// that only decodes is built without them: brotli's encoder alone takes 700 kB.
var encoders = [len(coders)]func(plain []byte) []byte{
	0: func(p []byte) []byte { return p },
	1: encodeBrotli,
}

// smallest compresses plain with the coder that makes it smallest, or of several the one with the
// smallest id.
func smallest(plain []byte) (id int, stored []byte) {
	stored = plain
	if dense(plain) {
		return 0, stored
	}
	for i := 1; i < len(encoders); i++ {
		if b := encoders[i](plain); len(b) < len(stored) {
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

func encodeBrotli(plain []byte) []byte {
	var b bytes.Buffer
	window := min(max(bits.Len(uint(len(plain))), brotliWindowMin), brotliWindowMax)
	w := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: brotliQuality, LGWin: window})
	_, err := w.Write(plain)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a Buffer never fails
	}
	return b.Bytes()
}
