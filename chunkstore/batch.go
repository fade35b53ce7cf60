package chunkstore

import (
	"bufio"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// groupSize is how many plain bytes a batch gathers for each processor before it
// compresses them together.
const groupSize = 4 << 20

// Batch adds chunks to a [Folder]. One goroutine uses it; it compresses on all processors. It ends
// with Commit or Abort. The packs hold the chunks in the order of Add.
type Batch struct {
	folder *Folder
	target int64
	seen   map[ID]struct{}

	group []Chunk // added, and not yet compressed and written
	plain []byte  // their plain bytes, one after another

	pack  *openPack // the pack that is being written; nil between two packs
	full  []*openPack
	stats BatchStats
	err   error // the first error, after which nothing can be added
}

// openPack is a pack under its temporary name.
type openPack struct {
	file    PackDraft
	buf     *bufio.Writer
	w       *packWriter
	ref     PackRef     // set once the pack is full
	entries []PackEntry // as ref
}

// BatchStats counts what a batch added.
type BatchStats struct {
	Chunks int
	plain  int64 // plain bytes of these chunks
	stored int64 // stored bytes of their frames
}

var errBatchEnded = errors.New("batch: it has ended")

// NewBatch starts a batch. It begins a new pack whenever the last one holds target bytes.
func (f *Folder) NewBatch(target int64) *Batch {
	return &Batch{folder: f, target: target, seen: map[ID]struct{}{}}
}

// Add adds c unless c is a hole or the folder or the batch has it already. It verifies plain
// against c, here or when it compresses, and does not keep it. An error about plain wraps
// [ErrCorrupt]. After an error the batch can only be aborted.
func (b *Batch) Add(c Chunk, plain []byte) error {
	if b.err != nil {
		return b.err
	}
	if c.IsHole() {
		return nil
	}
	if _, ok := b.seen[c.ID]; ok {
		return nil
	}
	if _, ok := b.folder.Locate(c.ID); ok {
		return nil
	}
	if c.Size != int64(len(plain)) || c.Size < 1 || c.Size > ChunkMax {
		b.err = fmt.Errorf("add chunk %s: %w: %d bytes, expected %d", c.ID, ErrCorrupt, len(plain),
			c.Size)
		return b.err
	}
	b.seen[c.ID] = struct{}{}
	b.group = append(b.group, c)
	b.plain = append(b.plain, plain...)
	if len(b.plain) >= groupSize*runtime.GOMAXPROCS(0) {
		b.err = b.flush()
	}
	return b.err
}

// flush verifies and compresses the group, concurrently, and writes it in order.
func (b *Batch) flush() error {
	frames := make([][]byte, len(b.group))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	rest := b.plain
	for i, c := range b.group {
		plain := rest[:c.Size]
		rest = rest[c.Size:]
		workers.Go(func() error {
			if got := Sum(plain); got != c.ID {
				return fmt.Errorf("add chunk %s: %w: its bytes are those of %s", c.ID, ErrCorrupt,
					got)
			}
			frames[i] = EncodeFrame(make([]byte, 0, frameMax(c.Size)), plain)
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	for i, c := range b.group {
		if err := b.write(c, frames[i]); err != nil {
			return err
		}
	}
	b.group, b.plain = b.group[:0], b.plain[:0]
	return nil
}

func (b *Batch) write(c Chunk, frame []byte) error {
	if b.pack == nil {
		file, err := b.folder.files.Create()
		if err != nil {
			return fmt.Errorf("create pack: %w", err)
		}
		buf := bufio.NewWriterSize(file, 1<<20)
		b.pack = &openPack{file: file, buf: buf, w: newPackWriter(buf)}
	}
	if _, err := b.pack.w.add(c, frame); err != nil {
		return err
	}
	b.stats.Chunks++
	b.stats.plain += c.Size
	b.stats.stored += int64(len(frame))
	if b.pack.w.size >= b.target || b.pack.w.len() == packEntriesMax {
		return b.finish()
	}
	return nil
}

// finish completes the open pack, reads its table back as a reader will, and makes it durable under
// its temporary name.
func (b *Batch) finish() error {
	p := b.pack
	id, size, err := p.w.close()
	if err == nil {
		err = p.buf.Flush()
	}
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	p.ref = PackRef{ID: id, Size: size}
	if p.entries, err = ReadPackTable(p.file, size); err != nil {
		return fmt.Errorf("pack %s just written: %w", id, err)
	}
	if err := p.file.Seal(); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	p.buf, p.w = nil, nil
	b.full = append(b.full, p)
	b.pack = nil
	return nil
}

// Commit makes the new packs durable and then visible to the folder's readers. After an error the
// folder may hold some of the packs. They are valid, and OpenFolder finds them.
func (b *Batch) Commit() (added []PackRef, err error) {
	defer b.Abort()
	if b.err != nil {
		return nil, b.err
	}
	if err := b.flush(); err != nil {
		return nil, err
	}
	if b.pack != nil {
		if err := b.finish(); err != nil {
			return nil, err
		}
	}
	for _, p := range b.full {
		if err := p.file.Commit(p.ref.ID); err != nil {
			return nil, fmt.Errorf("commit pack %s: %w", p.ref.ID, err)
		}
	}
	for _, p := range b.full {
		b.folder.add(p.ref, p.entries)
		added = append(added, p.ref)
	}
	return added, nil
}

// Abort gives the batch up and removes its temporary files. After Commit it does
// nothing, so that it can be deferred.
func (b *Batch) Abort() {
	if b.pack != nil {
		b.pack.file.Discard()
	}
	for _, p := range b.full {
		p.file.Discard() // does nothing to a committed file
	}
	b.pack, b.full, b.group, b.plain = nil, nil, nil, nil
	if b.err == nil {
		b.err = errBatchEnded
	}
}

// Stats counts what the batch has compressed so far; after Commit that is all that it added.
func (b *Batch) Stats() BatchStats { return b.stats }
