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

// BuildOptions says how to build. It does not change the image. The zero value is usable.
type BuildOptions struct {
	// Memory is how many bytes encoders and buffers may take when Workers is 0; 0: 90 MiB.
	Memory int64
	// Encoders are used if they are of the recipe's codec. nil: the build makes its own.
	Encoders *Encoders
	Progress func(done, total int64) // plain bytes laid out; called by one goroutine at a time
}

// defaultMemory is enough for two encoders of the best level.
const defaultMemory = 90 << 20

// BuildStats says what a build did.
type BuildStats struct {
	Size             int64 // bytes of the image, with padding
	Contents         int   // distinct contents with data
	PlainBytes       int64 // plain bytes of Contents
	BlocksCopied     int   // data and fragment blocks taken from Stored as they were
	BlocksCompressed int   // data and fragment blocks made here, also those stored plain
	blocksHole       int   // data blocks of zeros, which take no room in the image
	bytesCopied      int64 // stored bytes of BlocksCopied
	fragments        int   // fragment blocks, copied or made
}

// Build writes the image of r to out. It writes in order except for the superblock: the very last
// WriteAt writes the first 96 bytes. Contents come from src. When src implements [Stored], Build
// copies the blocks that it has. The image depends on r alone. Contents with nil Chunks, which
// nobody has cut yet, count as contents with data.
//
// Errors wrap ErrContent, with the path, when src gives other bytes, ErrUnknownCodec, or errors of
// src and out.
func Build(ctx context.Context, r *Recipe, src Source, out io.WriterAt,
	o BuildOptions) (BuildStats, error) {
	if err := r.validate(true); err != nil {
		return BuildStats{}, fmt.Errorf("build image: %w", err)
	}
	if err := r.checkWritable(); err != nil {
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

// encoders gives the encoders of r's codec that there is memory for.
func (o BuildOptions) encoders(r *Recipe) ([]*zstd.Encoder, error) {
	encoders := o.Encoders
	if encoders == nil || encoders.codec.ID != r.Codec {
		var err error
		if encoders, err = NewEncoders(r.Codec); err != nil {
			return nil, err
		}
	}
	memory := o.Memory
	if memory <= 0 {
		memory = defaultMemory
	}
	return encoders.take(encoders.Workers(r.BlockSize, memory), r.BlockSize)
}

// builder is one run of Build: a feeder reads plain or stored blocks in data order, workers
// compress them, and an appender writes them in the same order. The number of jobs bounds how far
// the feeder runs ahead, and so the memory.
type builder struct {
	recipe   *Recipe
	src      Source
	stored   Stored // src if it is a Stored, else nil
	writer   *squashfs.Writer
	encoders []*zstd.Encoder
	content  proof.Reader // of the feeder
	items    []item
	data     []squashfs.Data // of each content of the recipe's entries, by its number

	pool
	order chan *job // jobs to write, in order

	progress    func(done, total int64)
	done, total int64
	hotEnd      int64 // end, in the image, of the data of r.First
	stats       BuildStats
}

// blocksPerWorker is how many jobs there are for each worker: one that it compresses, and others
// that wait to be compressed or written.
const blocksPerWorker = 3

func newBuilder(r *Recipe, src Source, out io.WriterAt, o BuildOptions) (*builder, error) {
	encoders, err := o.encoders(r)
	if err != nil {
		return nil, err
	}
	b := &builder{
		pool:     pool{blockSize: r.BlockSize},
		encoders: encoders,
		recipe:   r,
		src:      src,
		items:    planLayout(r),
		progress: o.Progress,
	}
	b.stored, _ = src.(Stored)
	b.layOutHoles()
	b.start(len(encoders))
	b.order = make(chan *job, cap(b.work))
	b.writer, err = squashfs.NewWriter(out, squashfs.Params{
		BlockSize: r.BlockSize,
		ModTime:   r.ModTime,
		// used only after the workers are done with it
		Compressor: metadataCompressor{b.encoders[0]},
		Trailer:    b.trailer,
	})
	return b, err
}

// trailer gives the image's trailer, once all data is written.
func (b *builder) trailer() []byte {
	r := b.recipe
	return Trailer{
		Codec:    r.Codec,
		Chunking: r.Chunking,
		First:    len(r.First),
		HotEnd:   b.hotEnd,
	}.encode()
}

// layOutHoles enters the places of contents without data, and counts the bytes of the others.
func (b *builder) layOutHoles() {
	b.data = make([]squashfs.Data, len(b.recipe.Entries.contents))
	for n, c := range b.recipe.Entries.contents {
		if hasData(c) {
			b.total += c.Size
			b.stats.Contents++
			continue
		}
		b.data[n] = squashfs.Data{
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
