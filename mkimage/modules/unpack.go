package modules

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/tree"
)

// Limits of unpacking, in bytes. The largest module of Debian 13 has 20 MB, with debugging
// information 300.
const (
	windowMax = 64 << 20 // what a decoder may remember
	sizeMax   = 1 << 30  // one plain module
)

// codecs open packed modules, by the suffix of their names. The readers that they give end with the
// last stream.
var codecs = map[string]func(in io.Reader) (io.ReadCloser, error){
	".xz": func(in io.Reader) (io.ReadCloser, error) {
		z, err := xz.NewReader(in, windowMax)
		return io.NopCloser(z), err
	},
	".zst": func(in io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(windowMax), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	},
	".gz": func(in io.Reader) (io.ReadCloser, error) { return gzip.NewReader(in) },
}

// unpacked reads a plain module. Its errors name the packed one.
type unpacked struct {
	path   string
	plain  io.ReadCloser
	packed io.Closer
	left   int64 // bytes that may still come
}

// unpack opens entry i of the tree below, which the codec packed.
func (p *plainTree) unpack(i int, codec string) (io.ReadCloser, error) {
	packed, err := p.Tree.Open(i)
	if err != nil {
		return nil, err
	}
	u := &unpacked{path: p.Tree.Entries()[i].Path, packed: packed, left: sizeMax}
	if u.plain, err = codecs[codec](bufio.NewReaderSize(packed, 64<<10)); err != nil {
		return nil, errors.Join(u.wrap(err), packed.Close())
	}
	return u, nil
}

func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.plain.Read(b)
	if u.left -= int64(n); u.left < 0 {
		return 0, u.wrap(fmt.Errorf("it has more than %d MiB", sizeMax>>20))
	}
	if err != nil && err != io.EOF {
		err = u.wrap(err)
	}
	return n, err
}

func (u *unpacked) Close() error { return errors.Join(u.plain.Close(), u.packed.Close()) }

func (u *unpacked) wrap(err error) error {
	return fmt.Errorf("%w: unpack /%s: %w", ErrModule, u.path, err)
}

// measure unpacks the modules to learn their sizes, which it sets in entries.
func (p *plainTree) measure(ctx context.Context, entries []tree.Entry, packed []int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range packed {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := p.unpack(i, suffix(entries[i].Path))
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r)
			entries[i].Size = n
			return errors.Join(err, r.Close())
		})
	}
	return g.Wait()
}
