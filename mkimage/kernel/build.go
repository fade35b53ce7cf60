package kernel

import (
	"context"
	"fmt"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/internal/proof"
)

// Build writes the kernel of r to w, from its first byte on, and gives its size. It opens contents
// in src, one at a time, and verifies them. Build takes up to 18 MiB of memory, whatever the
// kernel's size.
//
// Errors wrap mkimage.ErrContent, with the content's name, when src gives other bytes,
// mkimage.ErrUnknownCodec, or are those of src and w.
func Build(ctx context.Context, r *Recipe, src mkimage.Source, w io.Writer) (int64, error) {
	if err := r.Validate(); err != nil {
		return 0, fmt.Errorf("build kernel: %w", err)
	}
	c, err := codecFor(r.Codec)
	if err != nil {
		return 0, fmt.Errorf("build kernel: %w", err)
	}
	b := &builder{ctx: ctx, src: src, w: w}
	for name, content := range r.Parts() {
		encode := codecs[0].encode
		if name == wordPayload {
			encode = c.encode
		}
		if err := b.content(content, encode); err != nil {
			return b.size, fmt.Errorf("build kernel: %s: %w", name, err)
		}
	}
	return b.size, nil
}

type builder struct {
	ctx  context.Context
	src  mkimage.Source
	w    io.Writer
	size int64 // bytes written
}

// Write writes to the kernel.
func (b *builder) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.w.Write(p)
	b.size += int64(n)
	return n, err
}

// content writes a content as encode encodes it, and verifies it before its last bytes.
func (b *builder) content(c *chunkstore.Content,
	encode func(w io.Writer, plain io.Reader) error) error {
	in, err := b.open(c)
	if err != nil {
		return err
	}
	defer in.Close() // nothing was written, and the bytes are verified
	var plain proof.Reader
	plain.Open(in, c)
	return encode(b, &plain)
}

// open opens a content. It asks the source unless the content is nothing but holes.
func (b *builder) open(c *chunkstore.Content) (io.ReadCloser, error) {
	if !slices.ContainsFunc(c.Chunks, func(k chunkstore.Chunk) bool { return !k.IsHole() }) {
		return io.NopCloser(io.LimitReader(zeroReader{}, c.Size)), nil
	}
	return b.src.Open(b.ctx, c)
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
