package mkimage

import (
	"context"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// ReadBlockmap takes the block map from an image that Build made of r. It reads the image's tables and no data. Errors
// wrap squashfs.ErrCorrupt or, when the image is not r's, ErrContent or chunkstore.ErrCorrupt.
func ReadBlockmap(ctx context.Context, m *squashfs.Image, r *Recipe) (*Blockmap, error) {
	b, err := readBlockmap(ctx, m, r)
	if err != nil {
		return nil, fmt.Errorf("map blocks: %w", err)
	}
	return b, nil
}

func readBlockmap(ctx context.Context, m *squashfs.Image, r *Recipe) (*Blockmap, error) {
	nodes, err := contentNodes(ctx, m, r)
	if err != nil {
		return nil, err
	}
	b := newBlockmap(r)
	for i := range b.Stretches {
		s := &b.Stretches[i]
		b.begin()
		if s.Fragment {
			err = b.readFragment(m, s, nodes)
		} else {
			err = b.readData(m, s.Contents[0], nodes)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// contentNodes finds the first file of each content.
func contentNodes(ctx context.Context, m *squashfs.Image, r *Recipe) (map[*chunkstore.Content]*squashfs.Node, error) {
	paths := make(map[string]*chunkstore.Content)
	for c, path := range r.firstPaths() {
		paths[path] = c
	}
	nodes := make(map[*chunkstore.Content]*squashfs.Node, len(paths))
	err := m.Walk(func(n *squashfs.Node) error {
		if c := paths[n.Path]; c != nil && n.Type == squashfs.Regular && n.Size == c.Size {
			nodes[c] = n
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	for c, path := range r.firstPaths() {
		if nodes[c] == nil {
			return nil, fmt.Errorf("/%s: %w: there is no such file of %d bytes", path, ErrContent, c.Size)
		}
	}
	return nodes, nil
}

// readData enters the data blocks of one content.
func (b *Blockmap) readData(m *squashfs.Image, c *chunkstore.Content, nodes map[*chunkstore.Content]*squashfs.Node) error {
	count := 0
	for s, err := range m.Blocks(nodes[c]) {
		if err != nil {
			return err
		}
		if s.Length > 0 && s.Offset != b.End {
			return misplaced(nodes[c], s.Offset, b.End)
		}
		if err := b.append(s.Length, s.Compressed && s.Length > 0); err != nil {
			return err
		}
		count++
	}
	if want := b.Stretches[len(b.first)-1].Blocks(b.blockSize); count != want {
		return fmt.Errorf("/%s: %w: %d data blocks, not %d", nodes[c].Path, ErrContent, count, want)
	}
	return nil
}

// readFragment enters a fragment block and demands that its contents are where they should be.
func (b *Blockmap) readFragment(m *squashfs.Image, s *Stretch, nodes map[*chunkstore.Content]*squashfs.Node) error {
	block, _, _ := m.Fragment(nodes[s.Contents[0]])
	want := 0
	for _, c := range s.Contents {
		index, offset, ok := m.Fragment(nodes[c])
		if !ok || index != block || offset != want {
			return fmt.Errorf("/%s: %w: its tail is elsewhere", nodes[c].Path, ErrContent)
		}
		want += int(c.Size)
	}
	f, err := m.FragmentBlock(block)
	if err != nil {
		return err
	}
	if f.Offset != b.End {
		return misplaced(nodes[s.Contents[0]], f.Offset, b.End)
	}
	return b.append(f.Length, f.Compressed)
}

func misplaced(n *squashfs.Node, is, want int64) error {
	return fmt.Errorf("/%s: %w: a block lies at %d, not at %d", n.Path, ErrContent, is, want)
}
