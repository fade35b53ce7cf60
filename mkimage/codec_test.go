package mkimage

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/codec"
)

// goldenSizes are the sizes of the blocks whose encodings the test pins.
var goldenSizes = []int{1, 100, 4096, 8192, 65_536, 70_001, 131_072, 131_072, 500_000, 1 << 20}

// TestCodecGolden fails when an update of the zstd module changes what an encoder writes. The codec
// ids then need a new generation, and targets take images of the old one whole: do not just put the
// new hashes in.
func TestCodecGolden(t *testing.T) {
	want := map[string]string{
		"zstd-fastest.1": "066597a0987dd38c400f7dd0f92ff415c027a63d777bedb267ff468687e55bce",
		"zstd-default.1": "9ac585d897570d4b00bcd7ff97d02bcce0a47e754d95576f7f6569e8b2ddd658",
		"zstd-better.1":  "5115b67563acf0d821d89df5dea6473167ab632d2d9217b17825b9cf1fdeff3d",
		"zstd-best.1":    "c0d409ce1e8fe35f2b4e0b4e14f2f6903a629a01147b3531f699c64393af1b94",
	}
	for _, c := range codecs {
		t.Run(c.ID, func(t *testing.T) {
			h := chunkstore.NewHasher()
			for i, n := range goldenSizes {
				// the bytes are the same for all block sizes that hold these
				blockSize := BlockSizeMin
				for blockSize < n {
					blockSize *= 2
				}
				h.Write(encoderFor(t, &c, blockSize).EncodeAll(realistic(uint64(i), n), nil))
			}
			if got := h.ID().String(); got != want[c.ID] {
				t.Errorf("encodes to %s, want %s", got, want[c.ID])
			}
		})
	}
}

func encoderFor(t *testing.T, c *codec.Codec, blockSize int) *zstd.Encoder {
	t.Helper()
	e, err := newEncoder(c, blockSize)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEncoderForgets demands that a block's encoding does not depend on what the encoder did
// before, since blocks come to workers in any order.
func TestEncoderForgets(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.ID, func(t *testing.T) {
			used := encoderFor(t, &c, BlockSizeMax)
			used.EncodeAll(realistic(1, 1<<20), nil)
			for i, n := range []int{100, 4096, 70_001, 131_072, 300_000} {
				plain := realistic(uint64(i), n)
				if !bytes.Equal(used.EncodeAll(plain, nil), encoderFor(t, &c, BlockSizeMax).EncodeAll(plain, nil)) {
					t.Errorf("%d bytes encode differently on a used encoder", n)
				}
			}
		})
	}
}

// TestFramesSuitTheKernel demands frames without what fs/squashfs refuses: checksums, and windows
// larger than the block.
func TestFramesSuitTheKernel(t *testing.T) {
	for _, c := range codecs {
		e := encoderFor(t, &c, BlockSizeMax)
		for _, n := range goldenSizes {
			var h zstd.Header
			if err := h.Decode(e.EncodeAll(realistic(7, n), nil)); err != nil {
				t.Fatal(err)
			}
			if h.HasCheckSum || !h.SingleSegment || h.FrameContentSize != uint64(n) {
				t.Errorf("%s, %d bytes: %+v", c.ID, n, h)
			}
		}
	}
}

// TestEncoderCost checks the figures by which Build bounds its memory.
func TestEncoderCost(t *testing.T) {
	plain := realistic(5, 1<<20)
	for _, c := range codecs {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		e := encoderFor(t, &c, BlockSizeMax)
		e.EncodeAll(plain, make([]byte, 0, 2<<20))
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(e)
		got := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%s: %d KiB", c.ID, got>>10)
		if got > encoderCost[c.Speed] || got < encoderCost[c.Speed]/2 {
			t.Errorf("%s: an encoder takes %d KiB, its cost says %d", c.ID, got>>10, encoderCost[c.Speed]>>10)
		}
	}
}

func TestWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	best, err := NewEncoders("zstd-best.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		memory int64
		want   int
	}{{1, 1}, {defaultMemory, 2}, {1 << 40, 8}} {
		if got := best.Workers(128<<10, c.memory); got != c.want {
			t.Errorf("%d workers in %d bytes, want %d", got, c.memory, c.want)
		}
	}
}

// TestEncodersAreKept demands that a build uses the encoders of a build, or of a measurement,
// before it.
func TestEncodersAreKept(t *testing.T) {
	e, err := NewEncoders("zstd-fastest.1")
	if err != nil {
		t.Fatal(err)
	}
	if rate, err := e.Rate(4096, realistic(1, 100_000)); err != nil || rate <= 0 {
		t.Errorf("rate %v, %v", rate, err)
	}
	if _, err := e.Rate(4096, nil); err == nil {
		t.Error("a rate without a sample")
	}
	first, err := e.take(1, 4096)
	if err != nil {
		t.Fatal(err)
	}
	both, err := e.take(2, 4096)
	if err != nil || len(both) != 2 || len(first) != 1 || both[0] != first[0] {
		t.Errorf("%d encoders after %d, %v", len(both), len(first), err)
	}
	other, err := e.take(1, 8192)
	if err != nil || len(other) != 1 || other[0] == first[0] {
		t.Errorf("%d encoders of larger blocks, %v", len(other), err)
	}
}

func TestCodecNames(t *testing.T) {
	if want := []string{"fastest", "default", "better", "best"}; !slices.Equal(Levels(), want) {
		t.Errorf("levels %v, want %v", Levels(), want)
	}
	for _, level := range Levels() {
		id, err := CodecFor(level)
		if want := fmt.Sprintf("zstd-%s.1", level); err != nil || id != want || !KnownCodec(id) {
			t.Errorf("level %s is codec %q, known: %v, %v", level, id, KnownCodec(id), err)
		}
	}
	if _, err := CodecFor("ultra"); err == nil {
		t.Error("level ultra has a codec")
	}
	_, err := codecs.Find("zstd-best.2")
	if KnownCodec("zstd-best.2") || !errors.Is(err, ErrUnknownCodec) || !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("codec of a later generation: %v", err)
	}
}
