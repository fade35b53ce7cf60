package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

var smallChunks = chunkstore.Params{Min: 1 << 10, Average: 4 << 10, Max: 16 << 10}

// memorySpool is a Spool.
type memorySpool []byte

func (s *memorySpool) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > int64(len(*s)) {
		*s = append(*s, make([]byte, end-int64(len(*s)))...)
	}
	return copy((*s)[off:], p), nil
}

func (s *memorySpool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(*s).ReadAt(p, off)
}

// program gives n bytes that begin as an arm64 Image does and are about as dense as a program.
func program(n int) []byte {
	b := make([]byte, 64, n+64)
	copy(b, "MZ")
	copy(b[0x38:], "ARM\x64")
	for i := uint32(0); len(b) < n; i++ {
		b = fmt.Appendf(b, "call %x, mov r%d\n", i*2654435761>>(i%19), i%13)
		b = binary.LittleEndian.AppendUint32(b, i/7)
	}
	return b[:n]
}

// x86Kernel makes an x86 kernel around a payload as it is compressed, with a tail behind it.
func x86Kernel(stream []byte, tail string) []byte {
	const sectors, offset = 3, 700
	b := make([]byte, (1+sectors)*512+offset, 1<<20)
	copy(b, "MZ")
	b[0x1f1] = sectors
	copy(b[0x1fe:], "\x55\xaa\xeb\x6aHdrS\x0f\x02")
	for i := 0x260; i < len(b); i++ {
		b[i] = byte(i * i >> 3) // the setup and what unpacks
	}
	binary.LittleEndian.PutUint32(b[0x248:], offset)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(stream)))
	return append(append(b, stream...), tail...)
}

// zbootImage makes a zboot EFI image.
func zbootImage(stream []byte, codec, tail string) []byte {
	const offset = 4096
	b := make([]byte, offset, 1<<20)
	copy(b, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(b[8:], offset)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(stream)))
	copy(b[24:], codec)
	return append(append(b, stream...), tail...)
}

// withSize appends the length of what was compressed, as kernels' builds do.
func withSize(stream []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(stream), uint32(n))
}

// member makes a gzip member of plain with a codec of ours.
func member(tb testing.TB, codec string, plain []byte) []byte {
	b := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"), encode(tb, codec, plain)...)
	b = binary.LittleEndian.AppendUint32(b, 0xdecade) // nobody looks at the sum
	return binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
}

func encode(tb testing.TB, id string, plain []byte) []byte {
	tb.Helper()
	c, err := codecFor(id)
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.encode(&b, bytes.NewReader(plain)); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func mustTake(tb testing.TB, kernel []byte, o Options) (*Recipe, mkimage.Source) {
	tb.Helper()
	if o.Spool == nil {
		o.Spool = new(memorySpool)
	}
	r, src, err := NewRecipe(context.Background(), bytes.NewReader(kernel), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r, src
}

func mustBuild(tb testing.TB, r *Recipe, src mkimage.Source) []byte {
	tb.Helper()
	var b bytes.Buffer
	size, err := Build(context.Background(), r, src, &b)
	if err != nil {
		tb.Fatal(err)
	}
	if size != int64(b.Len()) {
		tb.Errorf("%d bytes are told, %d were written", size, b.Len())
	}
	return b.Bytes()
}

func recipeText(tb testing.TB, r *Recipe) string {
	tb.Helper()
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func contentOf(tb testing.TB, src mkimage.Source, c *chunkstore.Content) []byte {
	tb.Helper()
	r, err := src.Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// filter gives what a tool makes of b. It skips a test whose oracle is missing, or fails it when
// all oracles must be there.
func filter(tb testing.TB, b []byte, tool string, args ...string) []byte {
	tb.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	c := exec.Command(tool, args...)
	c.Stdin, c.Stderr = bytes.NewReader(b), os.Stderr
	out, err := c.Output()
	if err != nil {
		tb.Fatalf("%s: %v", tool, err)
	}
	return out
}
