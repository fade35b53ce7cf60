package mkimage

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/proof"
	"deltaup/mkimage/squashfs"
)

// feed reads all blocks, stored or plain, in data order, and dispatches them.
func (b *builder) feed(ctx context.Context) error {
	for _, it := range b.items {
		var err error
		if it.fragment {
			err = b.feedFragment(ctx, it.members)
		} else {
			err = b.feedContent(ctx, it.members[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// feedContent feeds the data blocks of one content.
func (b *builder) feedContent(ctx context.Context, m member) error {
	data := &b.data[m.number]
	*data = squashfs.Data{
		Lengths:  make([]uint32, b.blockCount(m.content)),
		Fragment: squashfs.NoFragment,
		Size:     m.content.Size,
	}
	var in *contentReader // nil as long as every block could be copied
	defer func() {
		if in != nil {
			in.close()
		}
	}()
	for n := range data.Lengths {
		size := min(m.content.Size-int64(n)*int64(b.recipe.BlockSize), int64(b.recipe.BlockSize))
		j, err := b.take(ctx, int(size))
		if err != nil {
			return err
		}
		j.target, j.number = data, n
		if in == nil {
			if err := b.copyBlock(j, m); err != nil {
				return err
			}
			if !j.copied {
				if in, err = b.open(ctx, m); err != nil {
					return err
				}
				if err := in.skip(n, j.plain[:b.recipe.BlockSize]); err != nil {
					return err
				}
			}
		}
		if !j.copied {
			j.plain = j.plain[:size]
			if err := in.read(j.plain); err != nil {
				return err
			}
		}
		b.dispatch(j, m)
	}
	return nil
}

// feedFragment feeds one fragment block.
func (b *builder) feedFragment(ctx context.Context, members []member) error {
	size := 0
	ids := make([]chunkstore.ID, len(members))
	data := make([]*squashfs.Data, len(members))
	for i, m := range members {
		ids[i] = m.content.ID
		data[i] = &b.data[m.number]
		*data[i] = squashfs.Data{Offset: uint32(size), Size: m.content.Size}
		size += int(m.content.Size)
	}
	j, err := b.take(ctx, size)
	if err != nil {
		return err
	}
	j.members = data
	if b.stored != nil {
		stored, compressed, ok, err := b.stored.StoredFragment(ids)
		if err == nil && ok {
			err = j.copyStored(stored, compressed, false)
		}
		if err != nil {
			return fmt.Errorf("copy the block of /%s: %w", b.path(members[0]), err)
		}
	}
	if !j.copied {
		j.plain = j.plain[:size]
		for i, m := range members {
			if err := b.readWhole(ctx, m, j.plain[data[i].Offset:][:m.content.Size]); err != nil {
				return err
			}
		}
	}
	b.dispatch(j, members[0])
	return nil
}

// copyBlock copies a data block from Stored, if Stored has it.
func (b *builder) copyBlock(j *job, m member) error {
	if b.stored == nil {
		return nil
	}
	stored, compressed, ok, err := b.stored.StoredBlock(m.content, j.number)
	if err == nil && ok {
		err = j.copyStored(stored, compressed, true)
	}
	if err != nil {
		return fmt.Errorf("copy block %d of /%s: %w", j.number, b.path(m), err)
	}
	return nil
}

// copyStored copies a stored block, and refuses an impossible length.
func (j *job) copyStored(stored []byte, compressed, hole bool) error {
	switch {
	case len(stored) == 0 && hole && !compressed:
	case len(stored) == 0,
		compressed && len(stored) >= j.size,
		!compressed && len(stored) != j.size:
		return fmt.Errorf("%d stored bytes for %d plain ones: %w", len(stored), j.size,
			chunkstore.ErrCorrupt)
	}
	j.scratch = append(j.scratch[:0], stored...)
	j.stored, j.compressed, j.copied = j.scratch, compressed, true
	return nil
}

// readWhole reads a whole small content into p, which has its size.
func (b *builder) readWhole(ctx context.Context, m member, p []byte) error {
	in, err := b.open(ctx, m)
	if err != nil {
		return err
	}
	defer in.close()
	return in.read(p)
}

// path gives the path by which errors name a content.
func (b *builder) path(m member) string { return string(b.recipe.Entries.pathOf(m.number)) }

// contentReader reads one content and verifies it; its errors name the file.
type contentReader struct {
	in     io.Closer
	reader *proof.Reader
	path   string
}

// open begins to read a content. Only one content is open at a time.
func (b *builder) open(ctx context.Context, m member) (*contentReader, error) {
	in, err := b.src.Open(ctx, m.content)
	if err != nil {
		return nil, fmt.Errorf("open /%s: %w", b.path(m), err)
	}
	b.content.Open(in, m.content)
	return &contentReader{in: in, reader: &b.content, path: b.path(m)}, nil
}

// read fills p. Who has read the whole content holds verified bytes.
func (c *contentReader) read(p []byte) error {
	if _, err := io.ReadFull(c.reader, p); err != nil {
		return fmt.Errorf("read /%s: %w", c.path, err)
	}
	return nil
}

// skip reads n times the length of buffer, because the hash is that of all bytes.
func (c *contentReader) skip(n int, buffer []byte) error {
	for range n {
		if err := c.read(buffer); err != nil {
			return err
		}
	}
	return nil
}

func (c *contentReader) close() { c.in.Close() } // nothing was written, and the bytes are verified
