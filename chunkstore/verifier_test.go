package chunkstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestVerifier reads each case whole, byte by byte and in other odd sizes.
func TestVerifier(t *testing.T) {
	const text = "the bytes that are wanted"
	failure := errors.New("cable pulled")
	failing := func(s string) io.Reader {
		return io.MultiReader(strings.NewReader(s), iotest.ErrReader(failure))
	}
	other := strings.ToUpper(text)
	for _, c := range []struct {
		name string
		in   io.Reader
		is   error
		want string // the error's text; "": only is counts
	}{
		{"exact", strings.NewReader(text), nil, ""},
		{"short", strings.NewReader(text[:20]), ErrCorrupt, "corrupt: 20 bytes, expected 25"},
		{"none", strings.NewReader(""), ErrCorrupt, "corrupt: 0 bytes, expected 25"},
		{"long", strings.NewReader(text + "."), ErrCorrupt, "corrupt: more than 25 bytes"},
		{"longer", strings.NewReader(text + text), ErrCorrupt, "corrupt: more than 25 bytes"},
		{"wrong hash", strings.NewReader(other), ErrCorrupt, fmt.Sprintf("corrupt: its bytes are those of %v, expected %v",
			Sum([]byte(other)), Sum([]byte(text)))},
		{"error first", failing(""), failure, "cable pulled"},
		{"error in the middle", failing(text[:10]), failure, "cable pulled"},
		{"error at the end", failing(text), failure, "cable pulled"},
		{"early end, as the source says", iotest.ErrReader(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF, "unexpected EOF"},
	} {
		all, failed := io.ReadAll(c.in)
		rest := iotest.ErrReader(io.EOF)
		if failed != nil {
			rest = iotest.ErrReader(failed)
		}
		for manner, odd := range manners {
			t.Run(c.name+" "+manner, func(t *testing.T) {
				v := NewVerifier(odd(io.MultiReader(bytes.NewReader(all), rest)), Sum([]byte(text)), int64(len(text)))
				got, err := io.ReadAll(v)
				if !errors.Is(err, c.is) || err != nil && err.Error() != c.want {
					t.Fatalf("error %v, want %q", err, c.want)
				}
				if c.is == nil && string(got) != text {
					t.Errorf("read %q", got)
				}
				if c.is != nil && (len(got) >= len(text) || !bytes.HasPrefix(all, got)) {
					t.Errorf("passed %q on", got)
				}
				if n, again := v.Read(make([]byte, 9)); n != 0 || again != err && (err != nil || again != io.EOF) {
					t.Errorf("then %d bytes and %v", n, again)
				}
			})
		}
	}
}

// manners are ways in which a reader may give its bytes and its end.
var manners = map[string]func(io.Reader) io.Reader{
	"whole":              func(r io.Reader) io.Reader { return r },
	"by bytes":           iotest.OneByteReader,
	"by halves":          iotest.HalfReader,
	"end with the bytes": iotest.DataErrReader,
	"nothing at times":   func(r io.Reader) io.Reader { return &hesitant{r: r} },
}

// hesitant gives nothing every other time, as a reader may.
type hesitant struct {
	r   io.Reader
	now bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.now = !h.now; h.now {
		return 0, nil
	}
	return h.r.Read(p)
}

// TestVerifierContract holds it to what is demanded of every io.Reader, at sizes around those of
// BLAKE3's blocks, and at none.
func TestVerifierContract(t *testing.T) {
	var v Verifier // the zero value, and the same one for all
	for _, n := range []int{0, 1, 63, 64, 1024, 8193, 100_000} {
		data := randomBytes(uint64(n), n)
		for manner, odd := range manners {
			v.Reset(odd(bytes.NewReader(data)), Sum(data), int64(n))
			if err := iotest.TestReader(&v, data); err != nil {
				t.Errorf("%d bytes, %s: %v", n, manner, err)
			}
		}
	}
}

// TestVerifierWithoutEOF reads as who knows the size: no further than the last byte. There the
// error has to be, and the byte not.
func TestVerifierWithoutEOF(t *testing.T) {
	data := randomBytes(1, 1000)
	flipped := bytes.Clone(data)
	flipped[3] ^= 1
	failure := errors.New("cable pulled")
	for name, c := range map[string]struct {
		in io.Reader
		is error
	}{
		"exact":                     {bytes.NewReader(data), nil},
		"wrong hash":                {bytes.NewReader(flipped), ErrCorrupt},
		"long":                      {bytes.NewReader(append(bytes.Clone(data), 0)), ErrCorrupt},
		"error with the last bytes": {iotest.DataErrReader(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(failure))), failure},
	} {
		v := NewVerifier(c.in, Sum(data), int64(len(data)))
		p := make([]byte, len(data))
		_, err := io.ReadFull(v, p[:400])
		if err != nil {
			t.Fatalf("%s: before the end: %v", name, err)
		}
		if n, err := io.ReadFull(v, p[400:]); !errors.Is(err, c.is) || (n == 600) != (c.is == nil) {
			t.Errorf("%s: %d bytes and %v", name, n, err)
		}
	}
}

// TestVerifierBounds checks that it takes one byte more than it should of a source without end, and
// none when nobody asks, and that a size below zero fits nothing.
func TestVerifierBounds(t *testing.T) {
	endless := &counted{r: zeros{}}
	v := NewVerifier(endless, Sum(make([]byte, 1000)), 1000)
	if n, err := v.Read(nil); n != 0 || err != nil || endless.n != 0 {
		t.Errorf("asked for nothing: %d bytes, %v, took %d", n, err, endless.n)
	}
	_, err := io.Copy(io.Discard, v)
	var m *Mismatch
	if !errors.As(err, &m) || m.GotSize != 1001 || m.WantSize != 1000 || endless.n != 1001 {
		t.Errorf("error %v, took %d bytes", err, endless.n)
	}
	_, err = io.Copy(io.Discard, NewVerifier(strings.NewReader(""), Sum(nil), -1))
	if !errors.As(err, &m) {
		t.Errorf("size -1: error %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// BenchmarkVerifier copies a small and a large content: verified, beside that hashed, and as it is.
func BenchmarkVerifier(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		data := randomBytes(1, size)
		id, in := Sum(data), bytes.NewReader(data)
		v, h, buf := new(Verifier), NewHasher(), make([]byte, 64<<10)
		for _, c := range []struct {
			name string
			copy func() error
		}{
			{"verified", func() error {
				v.Reset(in, id, int64(size))
				return plainCopy(io.Discard, v, buf)
			}},
			{"hashed", func() error {
				h.Reset()
				err := plainCopy(h, in, buf)
				if h.ID() != id {
					err = ErrCorrupt
				}
				return err
			}},
			{"copied", func() error { return plainCopy(io.Discard, in, buf) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					in.Reset(data)
					if err := c.copy(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// plainCopy is io.CopyBuffer without WriteTo and ReadFrom, so that all copies take the same steps.
func plainCopy(w io.Writer, r io.Reader, buf []byte) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf)
	return err
}
