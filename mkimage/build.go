package mkimage

import (
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/proof"
	"deltaup/mkimage/squashfs"
)

// ErrContent is wrapped when a source gives other bytes than the recipe names.
var ErrContent = proof.ErrContent

// BuildOptions says how to build; nothing in it changes the image. The zero value is usable.
type BuildOptions struct {
	// compressing goroutines; 0: as many as fit GOMAXPROCS and Memory
	Workers int
	// bytes that encoders and buffers may take when Workers is 0; 0: 90 MiB
	Memory int64
	// to be used when they are of the recipe's codec; nil: the build makes its own
	Encoders *Encoders
	Progress func(done, total int64) // plain bytes laid out; called by one goroutine at a time
}

// defaultMemory is enough for two encoders of the best level.
const defaultMemory = 90 << 20

// BuildStats says what a build did.
type BuildStats struct {
	Size             int64 // of the image in bytes, padding included
	Contents         int   // distinct ones that have data
	PlainBytes       int64 // of Contents
	BlocksCopied     int   // data and fragment blocks taken from Stored as they were
	BlocksCompressed int   // data and fragment blocks made here, those stored plain included
	BlocksHole       int   // data blocks of zeros, which take no room
	BytesCopied      int64 // stored bytes of BlocksCopied
	Fragments        int   // fragment blocks, copied or made
}

// Build writes the image of r to out, in order except for the superblock: the
// first 96 bytes are written by the very last WriteAt. Contents come from src; when src
// implements [Stored], blocks that it has are copied. The image depends on r alone. Contents whose
// Chunks are nil, because nobody cut them yet, are taken for contents that have data.
//
// Errors wrap ErrContent with the path when src gives other bytes, ErrUnknownCodec,
// or what src and out returned.
func Build(ctx context.Context, r *Recipe, src Source, out io.WriterAt,
	o BuildOptions) (BuildStats, error) {
	if err := r.validate(true); err != nil {
		return BuildStats{}, fmt.Errorf("build image: %w", err)
	}
	b, err := newBuilder(r, src, out, o)
	if err != nil {
		return BuildStats{}, fmt.Errorf("build image: %w", err)
	}
	if err := b.run(ctx); err != nil {
		return b.stats, fmt.Errorf("build image: %w", err)
	}
	if b.stats.Size, err = b.writer.Finish(b.tree()); err != nil {
		return b.stats, fmt.Errorf("build image: %w", err)
	}
	return b.stats, nil
}

// builder is one run of Build: a feeder that reads plain or stored blocks in data order, workers
// that compress, and an appender that writes in the same order. The number of jobs bounds how far
// the feeder runs ahead, and the memory.
type builder struct {
	recipe   *Recipe
	src      Source
	stored   Stored // src, or nil
	writer   *squashfs.Writer
	encoders []*zstd.Encoder
	hasher   *chunkstore.Hasher // the feeder's
	items    []item
	data     map[*chunkstore.Content]*squashfs.Data

	free  chan *job // not in use
	work  chan *job // to be compressed
	order chan *job // to be written, in order

	progress    func(done, total int64)
	done, total int64
	hotEnd      int64 // in the image, of the data that r.First leads with
	stats       BuildStats
}

// blocksPerWorker is how many jobs there are for each worker: one in its hands, one read or waiting
// to be written.
const blocksPerWorker = 3

func newBuilder(r *Recipe, src Source, out io.WriterAt, o BuildOptions) (*builder, error) {
	encoders := o.Encoders
	if encoders == nil || encoders.Codec() != r.Codec {
		var err error
		if encoders, err = NewEncoders(r.Codec); err != nil {
			return nil, err
		}
	}
	b := &builder{
		recipe:   r,
		src:      src,
		items:    planLayout(r),
		hasher:   chunkstore.NewHasher(),
		progress: o.Progress,
	}
	b.stored, _ = src.(Stored)
	b.layOutHoles()

	workers := o.Workers
	if workers <= 0 {
		memory := o.Memory
		if memory <= 0 {
			memory = defaultMemory
		}
		workers = encoders.Workers(r.BlockSize, memory)
	}
	var err error
	if b.encoders, err = encoders.take(workers); err != nil {
		return nil, err
	}
	jobs := workers * blocksPerWorker
	b.free, b.work, b.order = make(chan *job, jobs), make(chan *job, jobs), make(chan *job, jobs)
	for range jobs {
		b.free <- newJob(r.BlockSize)
	}
	b.writer, err = squashfs.NewWriter(out, squashfs.Params{
		BlockSize:  r.BlockSize,
		ModTime:    r.ModTime,
		Compressor: metadataCompressor{b.encoders[0]}, // not before the workers are done with it
		Trailer:    b.trailer,
	})
	return b, err
}

// trailer gives the image's trailer once all data is written.
func (b *builder) trailer() []byte {
	r := b.recipe
	return Trailer{
		Codec:    r.Codec,
		Chunking: r.Chunking,
		First:    len(r.First),
		HotEnd:   b.hotEnd,
	}.encode()
}

// layOutHoles enters the contents that have no data, and counts the bytes of those that have.
func (b *builder) layOutHoles() {
	b.data = make(map[*chunkstore.Content]*squashfs.Data)
	for c := range b.recipe.Contents() {
		if hasData(c) {
			b.total += c.Size
			b.stats.Contents++
			continue
		}
		b.data[c] = &squashfs.Data{
			Lengths:  make([]uint32, b.blockCount(c)),
			Fragment: squashfs.NoFragment,
			Size:     c.Size,
			Holes:    c.Size,
		}
	}
	b.stats.PlainBytes = b.total
}

func (b *builder) blockCount(c *chunkstore.Content) int {
	size := int64(b.recipe.BlockSize)
	return int((c.Size + size - 1) / size)
}

func (b *builder) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(b.order)
		defer close(b.work)
		return b.feed(ctx)
	})
	for _, e := range b.encoders {
		group.Go(func() error {
			for j := range b.work {
				j.compress(e)
				j.ready <- struct{}{}
			}
			return nil
		})
	}
	group.Go(func() error { return b.append(ctx) })
	return group.Wait()
}
