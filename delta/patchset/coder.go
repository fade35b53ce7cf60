package patchset

import (
	"bytes"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"

	"deltaup/chunkstore"
)

// coder is one way to store a stream of a bundle.
type coder struct {
	name string
	// decode gives exactly size bytes, or an error. The result shares no memory with stored.
	// Whatever stored holds, decode takes memory in proportion to size.
	decode func(stored []byte, size int) ([]byte, error)
}

// coders are the coders by id. What an id's decoder does never changes. doc/patchset.md compares
// them.
var coders = [...]coder{
	0: {"stored", decodeStored},
	1: {"brotli", decodeBrotli},
}

// coderParts is the coder of streams that are stored by brotli and in parts, over the groups of a
// run: each part has at least the bytes that its plain bytes need.
const coderParts = len(coders)

func decodeStored(stored []byte, size int) ([]byte, error) {
	if len(stored) != size {
		return nil, fmt.Errorf("%w: %d bytes stored for %d", chunkstore.ErrCorrupt, len(stored),
			size)
	}
	return bytes.Clone(stored), nil
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
