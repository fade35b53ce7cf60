package initrd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/internal/codec"
	"deltaup/mkimage/internal/proof"
)

// BuildStats says what a build did.
type BuildStats struct {
	Size  int64 // bytes of the initrd
	files int   // files whose contents were read; several may have the same content
	plain int64 // unpacked bytes of the archives and the zeros between them
}

// Build writes the initrd of r to w, from its first byte on. It opens contents in src, one at a
// time, again for every file with the same content, and verifies them. The initrd depends on r
// alone. Build takes up to 50 MiB of memory, whatever the initrd's size.
//
// Errors wrap mkimage.ErrContent, with the file's name, when src gives other bytes,
// mkimage.ErrUnknownCodec, or errors of src and w.
func Build(ctx context.Context, r *Recipe, src mkimage.Source, w io.Writer) (BuildStats, error) {
	if err := r.Validate(); err != nil {
		return BuildStats{}, fmt.Errorf("build initrd: %w", err)
	}
	c, err := codecs.Find(r.Codec)
	if err != nil {
		return BuildStats{}, fmt.Errorf("build initrd: %w", err)
	}
	b := &builder{
		src:   src,
		codec: c,
		out:   counter{w: w},
		buf:   make([]byte, 64<<10),
	}
	for i := range r.Segments {
		if err = b.segment(ctx, &r.Segments[i]); err != nil {
			err = fmt.Errorf("build initrd: %w", err)
			break
		}
	}
	b.stats.Size = b.out.n
	return b.stats, err
}

type builder struct {
	src   mkimage.Source
	codec *codec.Codec
	out   counter
	zstd  *zstd.Encoder // nil before the first frame
	proof proof.Reader
	buf   []byte
	stats BuildStats
}

// counter counts the bytes written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (b *builder) segment(ctx context.Context, s *Segment) error {
	if s.packed {
		z, err := b.encoder()
		if err != nil {
			return err
		}
		if err := b.archives(ctx, s, z); err != nil {
			return err
		}
		return z.Close()
	}
	// A frame may have any length, and after it a kernel looks for a plain archive only at a
	// multiple of 4.
	if _, err := b.out.Write(padding[:align(b.out.n)]); err != nil {
		return err
	}
	out := bufio.NewWriterSize(&b.out, len(b.buf))
	if err := b.archives(ctx, s, out); err != nil {
		return err
	}
	return out.Flush()
}

// encoder gives the encoder, ready to begin a frame.
func (b *builder) encoder() (*zstd.Encoder, error) {
	if b.zstd != nil {
		b.zstd.Reset(&b.out)
		return b.zstd, nil
	}
	var err error
	b.zstd, err = newEncoder(&b.out, b.codec)
	return b.zstd, err
}

func (b *builder) archives(ctx context.Context, s *Segment, w io.Writer) error {
	for i := range s.Archives {
		a := &s.Archives[i]
		if err := b.zeros(ctx, w, a.zeros); err != nil {
			return err
		}
		for j := range a.Members {
			if err := b.member(ctx, a, &a.Members[j], w); err != nil {
				return fmt.Errorf("%.200q: %w", a.Members[j].Name, err)
			}
		}
	}
	return b.zeros(ctx, w, s.zeros)
}

func (b *builder) member(ctx context.Context, a *Archive, m *Member, w io.Writer) error {
	b.stats.plain += m.stored()
	head := append(a.appendHead(nil, m), m.target...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	if m.Content != nil {
		if err := b.content(ctx, m.Content, w); err != nil {
			return err
		}
	}
	_, err := w.Write(padding[:align(m.size())])
	return err
}

// content copies a content and verifies it before its last bytes.
func (b *builder) content(ctx context.Context, c *chunkstore.Content, w io.Writer) error {
	in, err := b.open(ctx, c)
	if err != nil {
		return err
	}
	defer in.Close() // nothing was written, and the bytes are verified
	b.stats.files++
	b.proof.Open(in, c)
	for left := c.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := b.buf[:min(left, int64(len(b.buf)))]
		if _, err := io.ReadFull(&b.proof, p); err != nil {
			return err
		}
		left -= int64(len(p))
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// open opens a content. It asks the source unless the content is nothing but holes.
func (b *builder) open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	if !slices.ContainsFunc(c.Chunks, func(k chunkstore.Chunk) bool { return !k.IsHole() }) {
		return io.NopCloser(io.LimitReader(zeroReader{}, c.Size)), nil
	}
	return b.src.Open(ctx, c)
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (b *builder) zeros(ctx context.Context, w io.Writer, n int64) error {
	b.stats.plain += n
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(b.buf)
		p := b.buf[:min(n, int64(len(b.buf)))]
		if _, err := w.Write(p); err != nil {
			return err
		}
		n -= int64(len(p))
	}
	return nil
}
