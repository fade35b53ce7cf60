package mkimage

import (
	"bytes"
	"context"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/squashfs"
)

// zeros is a block of zeros, for comparisons.
var zeros [squashfs.BlockSizeMax]byte

// job is one block on its way through a builder. The builder uses jobs and their buffers again and
// again.
type job struct {
	// Where the block goes: a data block is number number of target; a fragment block has the tails
	// of members.
	target  *squashfs.Data
	number  int
	members []*squashfs.Data // nil for a data block
	hot     bool             // one of the blocks of r.First
	part    *Portion         // of Make: block number of it; nil: it goes to an image

	plain      []byte // bytes to compress; empty when the block was copied
	size       int    // number of plain bytes
	stored     []byte // bytes to write; empty for a hole
	compressed bool
	copied     bool
	scratch    []byte        // room for stored
	ready      chan struct{} // receives once stored is final
}

func newJob(blockSize int) *job {
	return &job{
		plain: make([]byte, 0, blockSize),
		// some blocks grow when they are compressed
		scratch: make([]byte, 0, blockSize+blockSize>>6+64),
		ready:   make(chan struct{}, 1),
	}
}

// fresh prepares a used job for a block of size plain bytes.
func (j *job) fresh(size int) {
	j.target, j.number, j.members, j.hot, j.part = nil, 0, nil, false, nil
	j.plain, j.size, j.stored = j.plain[:0], size, nil
	j.compressed, j.copied = false, false
}

// compress sets stored from plain. A fragment block is never a hole.
func (j *job) compress(e *zstd.Encoder) {
	if !j.fragment() && bytes.Equal(j.plain, zeros[:len(j.plain)]) {
		return
	}
	j.scratch = e.EncodeAll(j.plain, j.scratch[:0])
	j.stored, j.compressed = j.scratch, true
	if len(j.stored) >= len(j.plain) {
		j.stored, j.compressed = j.plain, false
	}
}

// fragment tells whether the job is a fragment block.
func (j *job) fragment() bool { return j.members != nil || j.part != nil && j.part.Fragment }

// dispatch passes a filled job on to the appender, and to the workers unless its block was copied.
// It never blocks, since the channels have room for all jobs.
func (b *builder) dispatch(j *job, m member) {
	j.hot = int(m.rank) < len(b.recipe.First)
	b.order <- j
	if j.copied {
		j.ready <- struct{}{}
	} else {
		b.work <- j
	}
}

// append writes the blocks in order and frees their jobs.
func (b *builder) append(ctx context.Context) error {
	for j := range b.order {
		select {
		case <-j.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.place(j); err != nil {
			return err
		}
		if j.hot {
			b.hotEnd = b.writer.End()
		}
		b.done += int64(j.size)
		if b.progress != nil {
			b.progress(b.done, b.total)
		}
		b.free <- j
	}
	return ctx.Err()
}

// place writes one block and notes where it lies.
func (b *builder) place(j *job) error {
	switch {
	case j.copied:
		b.stats.BlocksCopied++
		b.stats.bytesCopied += int64(len(j.stored))
	case len(j.stored) > 0:
		b.stats.BlocksCompressed++
	default:
		b.stats.blocksHole++
	}
	if j.members != nil {
		index, err := b.writer.WriteFragment(j.stored, j.compressed)
		if err != nil {
			return err
		}
		for _, d := range j.members {
			d.Fragment = index
		}
		b.stats.fragments++
		return nil
	}
	if len(j.stored) == 0 {
		j.target.Holes += int64(j.size)
		return nil // a hole: its length word stays 0
	}
	offset, err := b.writer.WriteBlock(j.stored)
	if err != nil {
		return err
	}
	if j.target.Start == 0 { // not set yet: no block lies at 0, where the superblock is
		j.target.Start = offset
	}
	j.target.Lengths[j.number] = squashfs.LengthWord(len(j.stored), j.compressed)
	return nil
}
