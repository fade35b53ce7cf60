package unpack

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/zstd"
)

// windowMax is the largest window, in bytes, that the kernel's decompress_unzstd.c takes. It bounds
// xz dictionaries too, which the kernel does not bound (xz -9 has 64 MiB).
const windowMax = 128 << 20

func openZstd(in *bufio.Reader) (io.ReadCloser, error) {
	head, _ := in.Peek(zstd.HeaderMaxSize)
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(zstdFrame(in, &h), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowMax))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// zstdFrame reads the bytes of one frame (RFC 8878, section 3.1.1): a header, blocks that each tell
// their length and whether they are the last, and a checksum.
func zstdFrame(in *bufio.Reader, h *zstd.Header) *parts {
	p := &parts{in: in, left: int64(h.HeaderSize)}
	p.next = func() error {
		b, err := in.Peek(3)
		if err != nil {
			return err
		}
		v := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		size := v >> 3
		const repeat = 1 // a block that stores one byte and repeats it
		if v>>1&3 == repeat {
			size = 1
		}
		p.left = 3 + size
		if v&1 == 1 {
			p.next = nil
			if h.HasCheckSum {
				p.left += 4
			}
		}
		return nil
	}
	return p
}
