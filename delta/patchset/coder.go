package patchset

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"

	"deltaup/chunkstore"
)

// coder compresses one stream of a bundle.
type coder struct {
	name   string
	encode func(plain []byte) []byte
	// decode gives exactly size bytes, none of them shared with stored, or an error. Whatever
	// stored is, it takes memory in proportion to size.
	decode func(stored []byte, size int) ([]byte, error)
}

// coders are the registered ones by id. An id's decoder never changes; doc/patchset.md says what
// each is worth.
var coders = [...]coder{
	0: {"stored", func(p []byte) []byte { return p }, decodeStored},
	1: {"brotli", encodeBrotli, decodeBrotli},
}

// smallest compresses plain with the coder that makes it smallest, of equals the one with the
// smallest id.
func smallest(plain []byte) (id int, stored []byte) {
	stored = plain
	if dense(plain) {
		return 0, stored
	}
	for i := 1; i < len(coders); i++ {
		if b := coders[i].encode(plain); len(b) < len(stored) {
			id, stored = i, b
		}
	}
	return id, stored
}

// dense tells whether plain is compressed already, which takes the best coders longest of all to
// find out.
func dense(plain []byte) bool {
	const worthAsking = 1 << 20
	return len(plain) >= worthAsking &&
		len(estimator().EncodeAll(plain, nil)) > len(plain)-len(plain)/1000
}

func decodeStored(stored []byte, size int) ([]byte, error) {
	if len(stored) != size {
		return nil, fmt.Errorf("%w: %d bytes stored for %d", chunkstore.ErrCorrupt, len(stored),
			size)
	}
	return bytes.Clone(stored), nil
}

const (
	brotliQuality   = 11
	brotliWindowMin = 10 // log2
	brotliWindowMax = 23 // the decoder takes the window in memory
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
		panic(err) // a Buffer takes all
	}
	return b.Bytes()
}

func decodeBrotli(stored []byte, size int) ([]byte, error) {
	r := brotli.NewReader(bytes.NewReader(stored))
	plain := make([]byte, size)
	if _, err := io.ReadFull(r, plain); err != nil {
		return nil, fmt.Errorf("%w: brotli: %w", chunkstore.ErrCorrupt, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: brotli: %w: more than %d bytes", chunkstore.ErrCorrupt,
			chunkstore.ErrBomb, size)
	}
	return plain, nil
}
