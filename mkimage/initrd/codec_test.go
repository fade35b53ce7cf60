package initrd

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/internal/codec"
	"deltaup/mkimage/internal/unpack"
)

// goldenPlain is longer than the window and many blocks, and ends within a block.
func goldenPlain() []byte {
	b := append(realistic(1, 3<<20), realistic(2, 2<<20)...)
	return append(b, realistic(1, 1<<20+77)...)
}

// TestCodecGolden fails when an update of the zstd module changes what an encoder writes. The codec
// ids then need a new generation: do not just put the new hashes in.
func TestCodecGolden(t *testing.T) {
	want := map[string]string{
		"zstd-stream-fastest.1": "cf9367e12f0be5bd80a57bcf2f082881e69f9dbd44faa5175e5e72aa27bb4d75",
		"zstd-stream-default.1": "f9a2d948f62342322ca6686869a5a765f468c3cdb5e7802f578db6c00693b349",
		"zstd-stream-better.1":  "978ab1883ada94d54f51bbf085166f15a00e025176aff110a4b564b6c7518de3",
		"zstd-stream-best.1":    "e48929396f6142b6e355702caa5ab80447c70ad202432ca207654e7cee3d5176",
	}
	plain := goldenPlain()
	for _, c := range codecs {
		t.Run(c.ID, func(t *testing.T) {
			h := chunkstore.NewHasher()
			for _, n := range []int{1, 121, 4096, 131_072, 131_073, len(plain)} {
				h.Write(encode(t, &c, plain[:n], n))
			}
			if got := h.ID().String(); got != want[c.ID] {
				t.Errorf("encodes to %s, want %s", got, want[c.ID])
			}
		})
	}
}

// encode writes plain to a new encoder in pieces of at most size bytes.
func encode(tb testing.TB, c *codec.Codec, plain []byte, size int) []byte {
	tb.Helper()
	var b bytes.Buffer
	z, err := newEncoder(&b, c)
	if err != nil {
		tb.Fatal(err)
	}
	writeTo(tb, z, plain, size)
	return b.Bytes()
}

func writeTo(tb testing.TB, z *zstd.Encoder, plain []byte, size int) {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for len(plain) > 0 {
		n := min(len(plain), 1+random.IntN(size))
		if _, err := z.Write(plain[:n]); err != nil {
			tb.Fatal(err)
		}
		plain = plain[n:]
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
}

// TestPiecesDoNotMatter demands that a frame depends on the bytes alone: neither on the pieces in
// which they come nor on what the encoder did before.
func TestPiecesDoNotMatter(t *testing.T) {
	plain, sizes := goldenPlain(), []int{1000, 65_536, 131_072, 300_000}
	if testing.Short() {
		plain, sizes = plain[:1<<20], sizes[:1]
	}
	for _, c := range codecs {
		t.Run(c.ID, func(t *testing.T) {
			want := encode(t, &c, plain, 1<<30)
			for _, size := range sizes {
				if !bytes.Equal(encode(t, &c, plain, size), want) {
					t.Errorf("in pieces of up to %d bytes it is another frame", size)
				}
			}
			var b bytes.Buffer
			z, err := newEncoder(io.Discard, &c)
			if err != nil {
				t.Fatal(err)
			}
			writeTo(t, z, plain[len(plain)/3:], 1<<20)
			z.Reset(&b)
			writeTo(t, z, plain, 1<<20)
			if !bytes.Equal(b.Bytes(), want) {
				t.Error("after another frame it is another frame")
			}
		})
	}
}

// TestFramesSuitTheKernel demands one frame, with a window that every kernel's decompress_unzstd.c
// takes.
func TestFramesSuitTheKernel(t *testing.T) {
	plain := goldenPlain()
	for _, c := range codecs {
		for _, n := range []int{1, 121, 1 << 17, len(plain)} {
			frame := encode(t, &c, plain[:n], 1<<20)
			var h zstd.Header
			if err := h.Decode(frame); err != nil {
				t.Fatal(err)
			}
			if !h.HasCheckSum || h.Skippable || h.DictionaryID != 0 || h.WindowSize > 8<<20 {
				t.Errorf("%s, %d bytes: %+v", c.ID, n, h)
			}
			if got := frameSize(t, append(frame, "more"...)); got != len(frame) {
				t.Errorf("%s, %d bytes: the frame ends at %d of %d", c.ID, n, got, len(frame))
			}
		}
	}
}

// frameSize is the length of the frame at the beginning of b.
func frameSize(tb testing.TB, b []byte) int {
	tb.Helper()
	rest := bytes.NewReader(b)
	in := bufio.NewReaderSize(rest, unpack.BufferSize)
	_, plain, err := unpack.Open(in)
	if err != nil {
		tb.Fatal(err)
	}
	defer plain.Close()
	if _, err := io.Copy(io.Discard, plain); err != nil {
		tb.Fatal(err)
	}
	return len(b) - rest.Len() - in.Buffered()
}

// TestEncoderCost checks the memory that newEncoder and Build promise.
func TestEncoderCost(t *testing.T) {
	plain := goldenPlain()
	for _, c := range codecs {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		z, err := newEncoder(io.Discard, &c)
		if err != nil {
			t.Fatal(err)
		}
		writeTo(t, z, plain, 1<<20)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(z)
		if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 44<<20 {
			t.Errorf("%s: an encoder takes %d KiB", c.ID, got>>10)
		}
	}
}

// TestLevels demands the same levels as for images.
func TestLevels(t *testing.T) {
	for i, level := range mkimage.Levels() {
		id, err := codecFor(level)
		if err != nil || id != codecs[i].ID || !KnownCodec(id) {
			t.Errorf("level %s is %q, known: %v, %v", level, id, KnownCodec(id), err)
		}
		if mkimage.KnownCodec(id) {
			t.Errorf("%s is a codec of images too", id)
		}
	}
	if len(codecs) != len(mkimage.Levels()) {
		t.Errorf("%d levels, images have %d", len(codecs), len(mkimage.Levels()))
	}
}
