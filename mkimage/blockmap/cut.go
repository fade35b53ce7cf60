package blockmap

import (
	"context"
	"slices"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// cut gives the ends of the pieces of an image of size bytes.
func cut(ctx context.Context, m *squashfs.Image, size int64) ([]int64, error) {
	bounds, err := bounds(ctx, m, size)
	if err != nil {
		return nil, err
	}
	var c cutter
	for _, b := range bounds {
		c.segment(b)
	}
	c.segment(size)
	c.close()
	return c.ends, nil
}

// boundsMax is how many boundaries bounds collects of an image of size bytes. An image has up to
// two for each block. When small blocks make more than that, the image is cut less finely behind
// the collected ones.
func boundsMax(size int64) int64 { return size/512 + 4096 }

// bounds gives the offsets at which stored blocks and tables begin and end, between 0 and size,
// ascending, each once.
func bounds(ctx context.Context, m *squashfs.Image, size int64) ([]int64, error) {
	var list []int64
	limit := boundsMax(size)
	add := func(offsets ...int64) {
		for _, o := range offsets {
			if o > 0 && o < size && int64(len(list)) < limit {
				list = append(list, o)
			}
		}
	}
	info := m.Info()
	add(info.Tables, info.BytesUsed)
	for i := range info.Fragments {
		b, err := m.FragmentBlock(i)
		if err != nil {
			return nil, err
		}
		add(b.Offset, b.Offset+int64(b.Length))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	seen := map[uint32]bool{} // inodes with several names
	err := m.Walk(func(n *squashfs.Node) error {
		if n.Type != tree.Regular || n.Links > 1 && seen[n.Inode] {
			return ctx.Err()
		}
		if n.Links > 1 {
			seen[n.Inode] = true
		}
		end := int64(-1)
		for b, err := range m.Blocks(n) {
			if err != nil {
				return err
			}
			if b.Length == 0 {
				continue
			}
			if b.Offset != end {
				add(b.Offset)
			}
			end = b.Offset + int64(b.Length)
			add(end)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// cutter makes pieces of segments: stored blocks and what lies between them. A segment of pieceMin
// bytes or more is one piece or several. Shorter segments are joined only with each other, so that
// behind a difference two images soon have the same pieces again.
type cutter struct {
	ends []int64
	from int64 // where the joined segments begin that are no piece yet
	at   int64 // where the next segment begins
}

// segment adds the next segment, which ends at end.
func (c *cutter) segment(end int64) {
	if end-c.at < pieceMin {
		c.at = end
		if c.at-c.from >= pieceMin {
			c.piece(end)
		}
		return
	}
	c.close()
	for end-c.at > PieceMax {
		c.piece(c.at + PieceMax)
	}
	c.piece(end)
}

// close makes a piece of the joined segments.
func (c *cutter) close() {
	if c.at > c.from {
		c.piece(c.at)
	}
}

func (c *cutter) piece(end int64) {
	c.ends = append(c.ends, end)
	c.from, c.at = end, end
}
