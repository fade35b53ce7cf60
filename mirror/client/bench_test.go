package client

import (
	"io"
	"testing"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
)

// BenchmarkReadRange reads 16 MiB in one range over a loopback connection.
func BenchmarkReadRange(b *testing.B) {
	s := newShelf(b)
	const size = 16 << 20
	s.put(b, "big", make([]byte, size))
	c := testClient(b, quick(), faultserver.New(b, serve.Handler(s.dir)).URL)
	buf := make([]byte, 64<<10)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.ReadRange(b.Context(), "big", 0, size)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil || n != size {
			b.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
