package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// blockReader reads stored blocks of the release's image out of the cache.
type blockReader struct {
	cache    *cache
	image    chunkstore.ID
	blockmap *mkimage.Blockmap
}

// read gives a block as it is stored, in dst.
func (r *blockReader) read(b mkimage.StoredBlock, dst []byte) ([]byte, error) {
	dst = grow(dst, int64(b.Length))
	return dst, r.cache.readAt(r.image, dst, b.Offset)
}

// badBlocks decodes the stretches that no seed has and holds them against their contents' ids.
func (u *Update) badBlocks(ctx context.Context) ([]badExtent, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(uint64(u.recipe.BlockSize)))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	v := &blockVerifier{
		in:  blockReader{u.state.cache, u.image.ID, u.blockmap},
		dec: dec,
	}
	stored := u.seeds.stretches(u.recipe, u.prove)
	var found badExtents
	err = inParallel(ctx, len(u.blockmap.Stretches), func(i int) error {
		if stored[u.blockmap.Stretches[i].Key()] {
			return nil
		}
		blocks, err := v.stretch(i)
		for _, b := range blocks {
			found.add(badExtent{file: u.imageFile(), Extent: delta.Extent{Offset: b.Offset, Length: int64(b.Length)},
				cause: fmt.Errorf("%s: block at %d: %w", mirror.ImagePath(u.image.ID), b.Offset, chunkstore.ErrCorrupt)})
		}
		return err
	})
	return found.list, err
}

// blockVerifier checks stretches. It may be used by several goroutines.
type blockVerifier struct {
	in      blockReader
	dec     *zstd.Decoder
	buffers sync.Pool // of *buffers
}

// stretch gives the blocks of a stretch that are bad: those that do not decode, or all of them when
// the contents are other ones.
func (v *blockVerifier) stretch(i int) (bad []mkimage.StoredBlock, err error) {
	buf, ok := v.buffers.Get().(*buffers)
	if !ok {
		buf = new(buffers)
	}
	defer v.buffers.Put(buf)
	s := &v.in.blockmap.Stretches[i]
	whole := chunkstore.NewHasher()
	var all []mkimage.StoredBlock
	for b := range v.in.blockmap.Blocks(i) {
		if err := v.decode(b, buf); errors.Is(err, chunkstore.ErrCorrupt) {
			bad = append(bad, b)
			continue
		} else if err != nil {
			return nil, err
		}
		whole.Write(buf.plain)
		if b.Length > 0 {
			all = append(all, b)
		}
	}
	switch {
	case len(bad) > 0:
		return bad, nil
	case !s.Fragment:
		if whole.ID() != s.Contents[0].ID {
			return all, nil
		}
		return nil, nil
	}
	rest := buf.plain
	for _, c := range s.Contents {
		if chunkstore.Sum(rest[:c.Size]) != c.ID {
			return all, nil
		}
		rest = rest[c.Size:]
	}
	return nil, nil
}

// decode gives a block's plain bytes in buf.plain.
func (v *blockVerifier) decode(b mkimage.StoredBlock, buf *buffers) (err error) {
	if b.Length == 0 {
		buf.plain = grow(buf.plain, int64(b.Size))
		clear(buf.plain)
		return nil
	}
	if buf.frame, err = v.in.read(b, buf.frame); err != nil {
		return err
	}
	if b.Compressed {
		buf.plain, err = v.dec.DecodeAll(buf.frame, buf.plain[:0])
	} else {
		buf.plain = append(buf.plain[:0], buf.frame...)
	}
	if err != nil || len(buf.plain) != b.Size {
		return fmt.Errorf("%d bytes, not %d: %w", len(buf.plain), b.Size, chunkstore.ErrCorrupt)
	}
	return nil
}
