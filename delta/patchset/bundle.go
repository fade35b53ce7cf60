package patchset

import (
	"encoding/binary"
	"fmt"
	"sync"

	"deltaup/chunkstore"
)

// A bundle is several streams, each compressed by its own coder. It begins with a table of the
// plain size, coder and stored size of each stream. The stored bytes follow. The reader knows the
// number of streams.

// streamSize has the coder, and the plain and stored bytes, of one stream of a bundle.
type streamSize struct{ coder, plain, stored int }

// appendBundle appends a bundle of streams to b. It compresses the streams in parallel. fed is told
// of their bytes as a coder takes them, by several goroutines.
func appendBundle(b []byte, streams [][]byte, fed func(n int)) ([]byte, []streamSize) {
	sizes := make([]streamSize, len(streams))
	stored := make([][]byte, len(streams))
	var wait sync.WaitGroup
	for i, plain := range streams {
		if len(plain) == 0 {
			continue
		}
		wait.Go(func() {
			sizes[i].plain = len(plain)
			sizes[i].coder, stored[i] = smallest(plain, fed)
			sizes[i].stored = len(stored[i])
		})
	}
	wait.Wait()
	b = appendTable(b, sizes)
	for _, p := range stored {
		b = append(b, p...)
	}
	return b, sizes
}

// appendTable appends the table of a bundle.
func appendTable(b []byte, sizes []streamSize) []byte {
	for _, s := range sizes {
		b = binary.AppendUvarint(b, uint64(s.plain))
		if s.plain > 0 {
			b = append(b, byte(s.coder))
			b = binary.AppendUvarint(b, uint64(s.stored))
		}
	}
	return b
}

// readBundle decodes the bundle b of n streams. It refuses more than most plain bytes in all, and
// takes no more memory than these. part, unless nil, decodes what is stored in parts.
func readBundle(b []byte, n int, most int64,
	part func(stream int, stored []byte, size int) ([]byte, error)) ([][]byte, error) {
	sizes := make([]streamSize, n)
	in := input{b: b}
	for i := range sizes {
		sizes[i].plain = in.length(most)
		most -= int64(sizes[i].plain)
		if sizes[i].plain > 0 {
			sizes[i].coder = int(in.byte())
			sizes[i].stored = in.length(int64(len(b)))
		}
	}
	streams := make([][]byte, n)
	for i, s := range sizes {
		stored := in.bytes(s.stored)
		if in.err != nil {
			return nil, in.err
		}
		if s.plain == 0 {
			continue
		}
		var plain []byte
		var err error
		switch {
		case s.coder < len(coders):
			plain, err = coders[s.coder].decode(stored, s.plain)
		case s.coder == coderParts && part != nil:
			plain, err = part(i, stored, s.plain)
		default:
			err = fmt.Errorf("%w: coder %d, this program knows %d", chunkstore.ErrVersion,
				s.coder, len(coders))
		}
		if err != nil {
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
		streams[i] = plain
	}
	return streams, in.end()
}

// input reads fields from bytes. After its first error it gives zeros.
type input struct {
	b   []byte
	err error
}

func (in *input) fail(format string, args ...any) {
	if in.err == nil {
		in.err = fmt.Errorf("%w: "+format, append([]any{chunkstore.ErrCorrupt}, args...)...)
	}
	in.b = nil
}

func (in *input) number() uint64 {
	v, n := binary.Uvarint(in.b)
	if n <= 0 {
		in.fail("a number is cut off")
		return 0
	}
	in.b = in.b[n:]
	return v
}

func (in *input) signed() int64 {
	v, n := binary.Varint(in.b)
	if n <= 0 {
		in.fail("a number is cut off")
		return 0
	}
	in.b = in.b[n:]
	return v
}

// length is size for what lies in memory.
func (in *input) length(most int64) int { return int(in.size(most)) }

// size reads a number of at most most.
func (in *input) size(most int64) int64 {
	v := in.number()
	if in.err == nil && v > uint64(most) {
		in.fail("a length of %d, at most %d are possible", v, most)
		return 0
	}
	return int64(v)
}

// below reads an index below n.
func (in *input) below(n int) int {
	v := in.number()
	if in.err == nil && v >= uint64(n) {
		in.fail("an index of %d, there are %d", v, n)
		return 0
	}
	return int(v)
}

func (in *input) byte() byte {
	if len(in.b) == 0 {
		in.fail("it ends early")
		return 0
	}
	v := in.b[0]
	in.b = in.b[1:]
	return v
}

// bytes gives the next n bytes without copying them.
func (in *input) bytes(n int) []byte {
	if n > len(in.b) {
		in.fail("it ends early")
		return nil
	}
	p := in.b[:n:n]
	in.b = in.b[n:]
	return p
}

func (in *input) text() string { return string(in.bytes(in.length(int64(len(in.b))))) }

func (in *input) id() (id chunkstore.ID) {
	if copy(id[:], in.bytes(len(id))); id.IsStandIn() {
		in.fail("an id that no bytes have")
	}
	return id
}

// end gives the first error, or an error when bytes are left over.
func (in *input) end() error {
	if in.err == nil && len(in.b) > 0 {
		in.fail("%d bytes are left over", len(in.b))
	}
	return in.err
}
