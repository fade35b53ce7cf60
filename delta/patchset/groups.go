package patchset

import (
	"fmt"
	"io"

	"github.com/andybalholm/brotli"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// Groups of one run share the coders of their streams: where one group ends, the next goes on. So
// many small groups, each of which is of use as soon as it has arrived, take about the bytes of one
// large group.

// Groups opens the groups of a step, each after those before it in its run, which it reads and
// decodes too, unless it has just done so. Meanwhile it keeps the run's decoders. It is for one
// goroutine.
type Groups struct {
	step  *Step
	read  func(n int) (stored []byte, err error)
	next  int // the group that can go on with the parts
	parts [suffix.NumStreams]*parts
}

// Groups opens groups whose stored bytes read gives. The caller of read may overwrite these
// afterwards.
func (s *Step) Groups(read func(n int) (stored []byte, err error)) *Groups {
	return &Groups{step: s, read: read}
}

// Open verifies and decodes group n, which keeps GroupRef.Plain bytes of memory. Decoding takes a
// window more: at most 8 MiB for a set of Make, 16 MiB for any other. Within a run Groups keeps
// Head.RunMemory bytes instead. Errors name the group and wrap chunkstore.ErrCorrupt or
// chunkstore.ErrVersion, or are those of read.
func (g *Groups) Open(n int) (*Group, error) {
	refs := g.step.head.Groups
	first := n
	for first != g.next && refs[first].GoesOn {
		first--
	}
	for {
		streams, err := g.decode(first)
		if err == nil && first == n {
			var group *Group
			if group, err = g.step.groupWith(n, streams); err == nil {
				return group, nil
			}
		}
		if err != nil {
			g.Close()
			return nil, fmt.Errorf("group %d of the patch set: %w", first, err)
		}
		first++
	}
}

// Close gives up the decoders of a run.
func (g *Groups) Close() {
	g.next, g.parts = -1, [suffix.NumStreams]*parts{}
}

// decode gives the streams of group n, for which the parts are right.
func (g *Groups) decode(n int) (streams suffix.Streams, err error) {
	refs := g.step.head.Groups
	ref := refs[n]
	stored, err := g.read(n)
	if err != nil {
		return streams, err
	}
	if int64(len(stored)) != ref.Length || chunkstore.Sum(stored) != ref.Hash {
		return streams, fmt.Errorf("%w: its %d bytes have another hash", chunkstore.ErrCorrupt,
			len(stored))
	}
	if !ref.GoesOn {
		g.Close()
	}
	room := g.step.head.RunMemory(n)
	plain, err := readBundle(stored, suffix.NumStreams, ref.Plain,
		func(i int, stored []byte, size int) ([]byte, error) {
			if g.parts[i] == nil {
				g.parts[i] = new(parts)
			}
			return g.parts[i].decode(stored, size, room)
		})
	if err != nil {
		return streams, err
	}
	if g.next = n + 1; g.next == len(refs) || !refs[g.next].GoesOn {
		g.Close() // the run ends here
	}
	return suffix.Streams(plain), nil
}

// partLeftMax is how many bytes of a part a decoder may leave. One that has output enough asks for
// none of the few that a part has beyond what it needs.
const partLeftMax = 4 << 10

// parts decodes a stream that is stored in parts.
type parts struct {
	left   []byte // of the part at hand, and what the decoder has not asked for yet of those before
	reader *brotli.Reader
}

// Read implements io.Reader for the decoder.
func (p *parts) Read(b []byte) (int, error) {
	n := copy(b, p.left)
	if p.left = p.left[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// decode gives the size bytes of the next part. It refuses a window of more than room bytes.
func (p *parts) decode(stored []byte, size int, room int64) ([]byte, error) {
	if len(p.left) > partLeftMax {
		return nil, fmt.Errorf("%w: brotli: parts that nothing is made of", chunkstore.ErrCorrupt)
	}
	p.left = append(p.left, stored...)
	if p.reader == nil {
		if window := brotliWindow(stored); window > max(room, 1<<brotliWindowMin) {
			return nil, fmt.Errorf("%w: brotli: a window of %d bytes", chunkstore.ErrCorrupt, window)
		}
		p.reader = brotli.NewReader(p)
	}
	plain := make([]byte, size)
	if _, err := io.ReadFull(p.reader, plain); err != nil {
		return nil, fmt.Errorf("%w: brotli: %w", chunkstore.ErrCorrupt, err)
	}
	return plain, nil
}

// brotliWindow gives the size of the window that a brotli stream names (RFC 7932, 9.1).
func brotliWindow(stored []byte) int64 {
	if len(stored) == 0 {
		return 0
	}
	b := stored[0]
	bits := 16
	if b&1 != 0 {
		if n := int(b >> 1 & 7); n != 0 {
			bits = 17 + n
		} else if n := int(b >> 4 & 7); n != 0 {
			bits = 8 + n
		} else {
			bits = 17
		}
	}
	return 1 << bits
}

// RunMemory is how many bytes Groups keeps beside group n while more of its run follow; 0 when
// the group is alone.
func (h *Head) RunMemory(n int) int64 {
	first, end := n, n+1
	for h.Groups[first].GoesOn {
		first--
	}
	for end < len(h.Groups) && h.Groups[end].GoesOn {
		end++
	}
	if end-first == 1 {
		return 0
	}
	bytes := int64(0)
	for _, g := range h.Groups[first:end] {
		bytes += g.Plain
	}
	return 2 * bytes // a window is less than twice its stream
}

// encodePlain gives a group's number of bytes as the head has it.
func (h *Head) encodePlain(g *GroupRef) uint64 {
	n := uint64(g.Plain)
	if h.version >= versionRuns {
		if n <<= 1; g.GoesOn {
			n |= 1
		}
	}
	return n
}

// decodePlain reads what encodePlain gives.
func (h *Head) decodePlain(in *input, g *GroupRef) {
	if h.version < versionRuns {
		g.Plain = int64(in.length(groupPlainMax))
		return
	}
	n := in.length(2*groupPlainMax + 1)
	g.Plain, g.GoesOn = int64(n>>1), n&1 != 0
}

// checkRuns bounds a run as a single group is bounded.
func (h *Head) checkRuns(in *input) {
	var stored, plain int64
	for i, g := range h.Groups {
		if !g.GoesOn {
			stored, plain = 0, 0
		} else if i == 0 {
			in.fail("the first group goes on")
		}
		if stored, plain = stored+g.Length, plain+g.Plain; stored > groupMax || plain > groupPlainMax {
			in.fail("groups of one run that are too long together")
		}
	}
}
