package chunkstore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func chunkOf(plain []byte) Chunk { return Chunk{ID: Sum(plain), Size: int64(len(plain))} }

// text is n bytes that compress well.
func text(n int) []byte {
	return []byte(strings.Repeat("the quick brown fox jumps over the lazy dog\n", n/44+1)[:n])
}

func TestFrame(t *testing.T) {
	for name, test := range map[string]struct {
		plain []byte
		tag   byte
	}{
		"one byte": {[]byte("x"), framePlain},
		"random":   {randomBytes(1, 100_000), framePlain},
		"text":     {text(100_000), frameZstd},
		"longest":  {text(ChunkMax), frameZstd},
		"zeros":    {make([]byte, 5000), frameZstd},
	} {
		t.Run(name, func(t *testing.T) {
			frame := EncodeFrame([]byte("before"), test.plain)
			frame, ok := bytes.CutPrefix(frame, []byte("before"))
			if !ok || frame[0] != test.tag || int64(len(frame)) > frameMax(int64(len(test.plain))) {
				t.Fatalf("frame of %d bytes with tag %d", len(frame), frame[0])
			}
			got, err := DecodeFrame([]byte("before"), frame, chunkOf(test.plain))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok = bytes.CutPrefix(got, []byte("before")); !ok || !bytes.Equal(got, test.plain) {
				t.Errorf("decoded to %d other bytes", len(got))
			}
			// a buffer that is large enough is used
			buf := make([]byte, 0, len(test.plain)+100)
			if got, err = DecodeFrame(buf, frame, chunkOf(test.plain)); err != nil || &got[0] != &buf[:1][0] {
				t.Errorf("a large buffer is not used: %v", err)
			}
		})
	}
}

func TestDecodeFrameCorrupt(t *testing.T) {
	plain := text(10_000)
	c := chunkOf(plain)
	good := EncodeFrame(nil, plain)
	bomb := zstdFrame(t, make([]byte, 64<<20))
	for name, test := range map[string]struct {
		frame []byte
		c     Chunk
	}{
		"empty":              {nil, c},
		"tag alone":          {good[:1], c},
		"truncated":          {good[:len(good)-1], c},
		"longer":             {append(bytes.Clone(good), 0), c},
		"unknown tag":        {append([]byte{2}, good[1:]...), c},
		"not zstd":           {append([]byte{frameZstd}, text(100)...), c},
		"other content":      {EncodeFrame(nil, text(9_999)), c},
		"smaller than said":  {good, Chunk{ID: c.ID, Size: c.Size + 1}},
		"larger than said":   {good, Chunk{ID: c.ID, Size: c.Size - 1}},
		"a bomb":             {bomb, c},
		"two zstd frames":    {append(bytes.Clone(good), good[1:]...), c},
		"other id":           {good, Chunk{ID: Sum(nil), Size: c.Size}},
		"plain, other bytes": {append([]byte{framePlain}, make([]byte, c.Size)...), c},
		"plain, short":       {append([]byte{framePlain}, plain[1:]...), c},
		"hole":               {good, Chunk{Size: c.Size}},
		"no size":            {good, Chunk{ID: c.ID}},
		"negative size":      {good, Chunk{ID: c.ID, Size: -1}},
		"huge size":          {good, Chunk{ID: c.ID, Size: 1 << 60}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeFrame(nil, test.frame, test.c)
			if !errors.Is(err, ErrCorrupt) || got != nil {
				t.Errorf("%d bytes, %v; want ErrCorrupt", len(got), err)
			}
			if is, want := errors.Is(err, ErrBomb), name == "a bomb" || name == "larger than said" || name == "two zstd frames"; is != want {
				t.Errorf("%v is ErrBomb: %v", err, is)
			}
		})
	}
}

// zstdFrame compresses plain into a frame that does not tell its content size.
func zstdFrame(t *testing.T, plain []byte) []byte {
	t.Helper()
	frame := bytes.NewBuffer([]byte{frameZstd})
	w, err := zstd.NewWriter(frame)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return frame.Bytes()
}

func FuzzDecodeFrame(f *testing.F) {
	for _, plain := range [][]byte{[]byte("x"), text(300), randomBytes(1, 100), make([]byte, 4000)} {
		f.Add(EncodeFrame(nil, plain), int64(len(plain)))
	}
	f.Fuzz(func(t *testing.T, frame []byte, size int64) {
		// Hardly any input has the right id, so give it the id of what zstd makes of it.
		c := Chunk{ID: ID{1}, Size: size}
		if size > 0 && size < 1<<20 && len(frame) > 0 && frame[0] == frameZstd {
			if plain, err := decoder().DecodeAll(frame[1:], make([]byte, 0, size)); err == nil {
				c.ID = Sum(plain)
			}
		}
		plain, err := DecodeFrame(nil, frame, c)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("an error that is not ErrCorrupt: %v", err)
			}
			return
		}
		if chunkOf(plain) != c {
			t.Fatalf("%d bytes with another id or size than asked for", len(plain))
		}
	})
}

func BenchmarkEncodeFrame(b *testing.B) {
	for name, plain := range map[string][]byte{"text": text(64 << 10), "random": randomBytes(1, 64<<10)} {
		b.Run(name, func(b *testing.B) {
			var frame []byte
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				frame = EncodeFrame(frame[:0], plain)
			}
		})
	}
}

func BenchmarkDecodeFrame(b *testing.B) {
	for name, plain := range map[string][]byte{"text": text(64 << 10), "random": randomBytes(1, 64<<10)} {
		b.Run(name, func(b *testing.B) {
			frame, c := EncodeFrame(nil, plain), chunkOf(plain)
			buf := make([]byte, 0, len(plain))
			b.SetBytes(c.Size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeFrame(buf, frame, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
