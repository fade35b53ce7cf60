package kernel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// TestKernels takes kernels of all formats apart, made with the tools that make them, and makes them
// again.
func TestKernels(t *testing.T) {
	plain := program(300_000)
	large := bytes.Repeat(plain[:50_000], 180) // two blocks of lz4
	gz := func(b []byte, args ...string) []byte { return filter(t, b, "gzip", append(args, "-c")...) }
	lz := func(b []byte, args ...string) []byte {
		return filter(t, b, "lz4", append([]string{"-l", "-c"}, args...)...)
	}
	for _, tt := range []struct {
		name           string
		kernel         []byte
		codec          string
		payload        []byte
		before, behind int
	}{
		{"Image", plain, "none.1", plain, 0, 0},
		{"Image.gz", gz(plain, "-n9"), "gzip-gnu-9.1", plain, 10, 8},
		{"Image.gz, signed", append(gz(plain, "-6"), "signature"...), "gzip-gnu-6.1", plain, 10, 17},
		{"bzImage, gzip", x86Kernel(gz(plain, "-n9"), "code"), "gzip-gnu-9.1", plain, 2758, 12},
		{"bzImage, lz4", x86Kernel(withSize(lz(large, "-9"), len(large)), "code, sum"), "lz4-9.1", large, 2748, 13},
		{"bzImage, lz4 -12", x86Kernel(withSize(lz(plain, "-12"), len(plain)), ""), "lz4-12.1", plain, 2748, 4},
		{"zboot, gzip", zbootImage(gz(plain, "-n9"), "gzip", "sections"), "gzip-gnu-9.1", plain, 4106, 16},
		{"zboot, lz4", zbootImage(lz(plain, "-9"), "lz4", ""), "lz4-9.1", plain, 4096, 0},
		{"zboot, lz4 with its length", zbootImage(lz(plain, "-9"), "lz4", "size, sections"), "lz4-9.1", plain, 4096, 14},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, src := mustTake(t, tt.kernel, Options{})
			if r.Codec != tt.codec {
				t.Errorf("codec %s, want %s", r.Codec, tt.codec)
			}
			if !bytes.Equal(contentOf(t, src, r.Payload), tt.payload) {
				t.Error("another payload")
			}
			if before, behind := size(r.Before), size(r.Behind); before != tt.before || behind != tt.behind {
				t.Errorf("%d bytes before, %d behind, want %d and %d", before, behind, tt.before, tt.behind)
			}
			if !bytes.Equal(mustBuild(t, r, src), tt.kernel) {
				t.Error("another kernel is made")
			}
			if err := r.Verify(context.Background(), bytes.NewReader(tt.kernel)); err != nil {
				t.Error(err)
			}
			parsed, err := ParseRecipe(strings.NewReader(recipeText(t, r)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mustBuild(t, parsed, src), tt.kernel) {
				t.Error("the recipe's text makes another kernel")
			}
		})
	}
}

func size(c *chunkstore.Content) int {
	if c == nil {
		return 0
	}
	return int(c.Size)
}

// TestOtherEncoders: a kernel that is not made again stays whole, but is a seed.
func TestOtherEncoders(t *testing.T) {
	plain := program(100_000)
	other := member(t, "gzip-gnu-9.1", plain)
	other = append(other[:10:10], filter(t, plain, "python3", "-c", `
import sys, zlib
z = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
sys.stdout.buffer.write(z.compress(sys.stdin.buffer.read()) + z.flush())`)...)
	for name, kernel := range map[string][]byte{"zlib with more memory": other, "lz4 -1": x86Kernel(filter(t, plain, "lz4", "-lc1"), "")} {
		spool := new(memorySpool)
		if _, _, err := NewRecipe(context.Background(), bytes.NewReader(kernel), Options{Spool: spool}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "no ") {
			t.Errorf("%s: error %v", name, err)
		}
		r, src := mustTake(t, kernel, Options{Seed: true})
		if r.Codec != "" || !bytes.Equal(contentOf(t, src, r.Payload), plain) {
			t.Errorf("%s: codec %q, or another payload", name, r.Codec)
		}
	}
}

// TestUnsupported names files that are no kernels known here.
func TestUnsupported(t *testing.T) {
	plain := program(20_000)
	gz, lz := member(t, "gzip-gnu-9.1", plain), encode(t, "lz4-9.1", plain)
	change := func(b []byte, at int, with string) []byte {
		b = bytes.Clone(b)
		copy(b[at:], with)
		return b
	}
	large := x86Kernel(gz, "")
	for _, tt := range []struct {
		name   string
		kernel []byte
		want   string // part of the error
	}{
		{"nothing", nil, "none of the formats"},
		{"text", []byte("#!/bin/sh"), "none of the formats"},
		{"an Image that ends", plain[:0x3b], "none of the formats"},
		{"other gzip files", member(t, "gzip-gnu-9.1", []byte("text")), "no kernel"},
		{"a gzip header that ends", gz[:9], "too short"},
		{"a gzip header with a name without end", change(gz, 3, "\x08\x00\x01\x01\x01\x01\x01")[:14], "gzip header"},
		{"a gzip header with fields that end", change(gz, 3, "\x04")[:12], "gzip header"},
		{"a stream that ends", gz[:1000], "unexpected EOF"},
		{"a damaged stream", change(gz, 500, "damaged"), ""},
		{"a bzImage that ends in its header", large[:0x24e], "damaged"},
		{"a bzImage without flag", change(large, 0x1fe, "\x00"), "damaged"},
		{"an old bzImage", change(large, 0x206, "\x07\x02"), "2.07"},
		{"a bzImage that ends before its payload", large[:2748], "no compression"},
		{"a bzImage whose payload is cut", x86Kernel(lz[:len(lz)-1], ""), "unexpected EOF"},
		{"a bzImage whose payload is shorter than it says", x86Kernel(lz, "")[:len(lz)], ""},
		{"an offset beyond all", change(large, 0x248, "\xff\xff\xff\xff"), "a payload of"},
		{"a length beyond all", change(large, 0x24c, "\xff\xff\xff\xff"), "a payload of"},
		{"an empty payload", x86Kernel(encode(t, "lz4-9.1", nil), ""), "empty"},
		{"zstd", zbootImage([]byte("\x28\xb5\x2f\xfd and more"), "zstd", ""), "zstd"},
		{"xz", zbootImage([]byte("\xfd7zXZ\x00 and more"), "xz", ""), "xz"},
		{"lzma", zbootImage([]byte("\x5d\x00\x00 and more"), "lzma", ""), "no compression"},
		{"a zboot image that ends", zbootImage(lz, "lz4", "")[:15], "too short"},
		{"a block of lz4 that is too long", x86Kernel([]byte("\x02\x21\x4c\x18\xff\xff\xff\x7f....."), ""), "too long"},
	} {
		for _, seed := range []bool{false, true} {
			_, _, err := NewRecipe(context.Background(), bytes.NewReader(tt.kernel), Options{Spool: new(memorySpool), Seed: seed})
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error %v", tt.name, err)
			}
			if errors.Is(err, ErrForeign) != (tt.want == "none of the formats") {
				t.Errorf("%s: foreign, or not: %v", tt.name, err)
			}
		}
	}
}

// TestStepped: a bzImage with zstd or xz is one content, as one that the image has.
func TestStepped(t *testing.T) {
	for _, magic := range []string{zstdMagic, xzMagic} {
		file := x86Kernel([]byte(magic+" and more"), "")
		r, _, err := NewRecipe(t.Context(), bytes.NewReader(file), Options{Spool: new(memorySpool)})
		if err != nil {
			t.Fatal(err)
		}
		if !r.whole() || r.Payload.ID != chunkstore.Sum(file) {
			t.Errorf("%x: recipe %+v", magic, r)
		}
		if err := r.Verify(t.Context(), bytes.NewReader(file)); err != nil {
			t.Error(err)
		}
	}
}

// TestErrorsOfOthers: errors of reader, spool and context are no verdict on the kernel.
func TestErrorsOfOthers(t *testing.T) {
	kernel := x86Kernel(encode(t, "lz4-9.1", program(200_000)), "tail")
	failure := errors.New("cable pulled")
	for _, n := range []int{0, 600, 5000, len(kernel)} {
		in := io.MultiReader(bytes.NewReader(kernel[:n]), iotest.ErrReader(failure))
		if _, _, err := NewRecipe(context.Background(), in, Options{Spool: new(memorySpool)}); !errors.Is(err, failure) || errors.Is(err, ErrUnsupported) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	for _, s := range []Spool{&badSpool{write: failure}, &badSpool{read: failure}} {
		if _, _, err := NewRecipe(context.Background(), bytes.NewReader(kernel), Options{Spool: s}); !errors.Is(err, failure) || errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := NewRecipe(ctx, bytes.NewReader(kernel), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	r, src := mustTake(t, kernel, Options{})
	if _, err := Build(ctx, r, src, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

type badSpool struct {
	memorySpool
	write, read error
}

func (s *badSpool) WriteAt(p []byte, off int64) (int, error) {
	if s.write != nil {
		return 0, s.write
	}
	return s.memorySpool.WriteAt(p, off)
}

func (s *badSpool) ReadAt(p []byte, off int64) (int, error) {
	if s.read != nil {
		return 0, s.read
	}
	return s.memorySpool.ReadAt(p, off)
}

// TestBuildVerifies gives Build other contents than the recipe names.
func TestBuildVerifies(t *testing.T) {
	kernel := x86Kernel(encode(t, "lz4-9.1", program(200_000)), "tail")
	spool := new(memorySpool)
	r, src := mustTake(t, kernel, Options{Spool: spool})
	for name, c := range r.Parts() {
		at := bytes.Index(*spool, contentOf(t, src, c)) + int(c.Size) - 1
		(*spool)[at] ^= 1
		if _, err := Build(context.Background(), r, src, io.Discard); !errors.Is(err, mkimage.ErrContent) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
		(*spool)[at] ^= 1
	}
	if !bytes.Equal(mustBuild(t, r, src), kernel) {
		t.Error("another kernel is made")
	}
	r.Codec = "lz4-9.2"
	if _, err := Build(context.Background(), r, src, io.Discard); !errors.Is(err, mkimage.ErrUnknownCodec) || KnownCodec(r.Codec) {
		t.Errorf("error %v", err)
	}
	r.Payload = nil
	if _, err := Build(context.Background(), r, src, io.Discard); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}

// TestVerify finds another kernel.
func TestVerify(t *testing.T) {
	plain := program(50_000)
	r, _ := mustTake(t, x86Kernel(encode(t, "lz4-9.1", plain), "tail"), Options{})
	plain[4000] ^= 1
	err := r.Verify(context.Background(), bytes.NewReader(x86Kernel(encode(t, "lz4-9.1", plain), "tail")))
	if !errors.Is(err, mkimage.ErrContent) {
		t.Errorf("error %v", err)
	}
}

// TestKeep: what is not kept is not in the source, and a codec is found all the same.
func TestKeep(t *testing.T) {
	kernel := x86Kernel(encode(t, "lz4-9.1", program(200_000)), "tail")
	spool := new(memorySpool)
	r, src := mustTake(t, kernel, Options{Spool: spool, Keep: func(c *chunkstore.Content) bool { return c.Size < 100_000 }})
	if r.Codec != "lz4-9.1" {
		t.Errorf("codec %q", r.Codec)
	}
	if string(contentOf(t, src, r.Behind)) != "tail" {
		t.Error("what is behind is another")
	}
	if _, err := src.Open(context.Background(), r.Payload); !errors.Is(err, chunkstore.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

// TestWhole: a kernel of any format can be one content.
func TestWhole(t *testing.T) {
	for _, kernel := range [][]byte{x86Kernel([]byte("\x28\xb5\x2f\xfd and more"), ""), []byte("anything"), member(t, "gzip-gnu-9.1", program(9000))} {
		r, src := mustTake(t, kernel, Options{Whole: true})
		if r.Codec != "none.1" || r.Before != nil || r.Behind != nil || r.Payload.ID != chunkstore.Sum(kernel) {
			t.Errorf("recipe %+v", r)
		}
		if !bytes.Equal(mustBuild(t, r, src), kernel) {
			t.Error("another kernel is made")
		}
		if err := r.Verify(context.Background(), bytes.NewReader(kernel)); err != nil {
			t.Error(err)
		}
		if err := r.Verify(context.Background(), bytes.NewReader(kernel[1:])); !errors.Is(err, mkimage.ErrContent) {
			t.Errorf("error %v", err)
		}
	}
	if _, _, err := NewRecipe(context.Background(), bytes.NewReader(nil), Options{Whole: true}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an empty one: error %v", err)
	}
}

// TestMemory checks that neither taking a seed apart nor making a kernel holds the payload.
func TestMemory(t *testing.T) {
	plain := bytes.Repeat(program(50_000), 1300)
	most := int64(len(plain) * 5 / 8)
	for codec, kernel := range map[string][]byte{
		"lz4-3.1": x86Kernel(encode(t, "lz4-3.1", plain), ""), "gzip-gnu-1.1": member(t, "gzip-gnu-1.1", plain), "none.1": plain,
	} {
		r, src := mustTake(t, kernel, Options{Seed: true})
		r.Codec = codec
		if n := taken(func() { mustTake(t, kernel, Options{Spool: discard{}, Seed: true}) }); n > most {
			t.Errorf("%s: taking apart takes %d bytes", r.Codec, n)
		}
		n := taken(func() {
			if _, err := Build(context.Background(), r, src, io.Discard); err != nil {
				t.Error(err)
			}
		})
		if n > most {
			t.Errorf("%s: making takes %d bytes", r.Codec, n)
		}
	}
}

// taken gives how many bytes of memory fn takes, though it may have given some back.
func taken(fn func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// discard is a Spool that keeps nothing.
type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discard) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
