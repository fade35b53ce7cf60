package patchset

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// cutStream is a compressed stream of a run.
type cutStream struct {
	coder  int
	stored []byte
	ends   []int // of each group's part
}

// code compresses stream k of a run, which is not empty. What brotli makes smallest is one stream
// of it, cut where a decoder has what it needs for the plain bytes of each group. So that costs no
// byte but those of the tables. fed is told of the bytes of the stream as a coder takes them.
func (r *openRun) code(k int, c cache, fed func(n int)) (s cutStream, err error) {
	s.coder, s.stored = c.smallest(r.streams[k], fed)
	if len(r.groups) == 1 {
		s.ends = []int{len(s.stored)}
	} else {
		s.ends, err = r.cut(k, s.coder, s.stored)
	}
	return s, err
}

// assemble gives the groups of a run whose streams are coded.
func (r *openRun) assemble(streams [suffix.NumStreams]cutStream) ([]madeGroup, error) {
	groups, bodies := make([]madeGroup, len(r.groups)), make([][]byte, len(r.groups))
	for i := range groups {
		groups[i] = madeGroup{
			entries: r.groups[i].entries,
			sizes:   make([]streamSize, suffix.NumStreams),
			costly:  r.costly,
		}
	}
	for k, s := range streams {
		from, at := 0, 0
		for i := range groups {
			end := r.groups[i].ends[k]
			if end == from { // nothing of it; what comes early comes with the next one
				continue
			}
			groups[i].sizes[k] = streamSize{coder: s.coder, plain: end - from, stored: s.ends[i] - at}
			bodies[i] = append(bodies[i], s.stored[at:s.ends[i]]...)
			from, at = end, s.ends[i]
		}
	}
	for i := range groups {
		table := groups[i].sizes
		if len(groups) > 1 {
			table = slices.Clone(table)
			for k := range table {
				if table[k].coder != 0 {
					table[k].coder = coderParts
				}
			}
		}
		groups[i].stored = append(appendTable(nil, table), bodies[i]...)
	}
	return groups, r.check(groups)
}

// cut tells where the part of each group ends in the stored bytes of stream k.
func (r *openRun) cut(k, coder int, stored []byte) ([]int, error) {
	ends := make([]int, len(r.groups))
	if coder == 0 {
		for i := range ends {
			ends[i] = r.groups[i].ends[k]
		}
		return ends, nil
	}
	in := &counted{left: stored}
	d := brotli.NewReader(in)
	at := 0
	for i := range ends {
		end := r.groups[i].ends[k]
		if _, err := io.CopyN(io.Discard, d, int64(end-at)); err != nil {
			return nil, fmt.Errorf("read back a stream: %w", err)
		}
		at = end
		if ends[i] = min(in.given+partSlack, len(stored)); end == len(r.streams[k]) {
			ends[i] = len(stored)
		}
	}
	return ends, nil
}

// A part has some bytes more than the decoder needs that cut it, so that another one may look a few
// bytes ahead.
const (
	partStep  = 64
	partSlack = 16
)

// counted gives bytes in small steps and counts them.
type counted struct {
	left  []byte
	given int
}

func (c *counted) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), partStep)], c.left)
	c.left, c.given = c.left[n:], c.given+n
	return n, nil
}

// check decodes the groups of a run again.
func (r *openRun) check(groups []madeGroup) error {
	var from [suffix.NumStreams]int
	var all [suffix.NumStreams]parts
	room := int64(2 * r.streams.Len())
	for i, g := range groups {
		plain, err := readBundle(g.stored, suffix.NumStreams, int64(r.streams.Len()),
			func(k int, stored []byte, size int) ([]byte, error) {
				return all[k].decode(stored, size, room)
			})
		if err != nil {
			return fmt.Errorf("read back a group: %w", err)
		}
		for k := range plain {
			end := r.groups[i].ends[k]
			if !bytes.Equal(plain[k], r.streams[k][from[k]:end]) {
				return fmt.Errorf("read back a group: %w: stream %d", chunkstore.ErrCorrupt, k)
			}
			from[k] = end
		}
	}
	return nil
}
