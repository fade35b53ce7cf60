package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
)

func readPart(ctx context.Context, c *Client, name string, offset, length int64) ([]byte, error) {
	r, err := c.ReadPart(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// TestReadPart: no byte of a whole file is taken for a part, and another mirror with ranges gives
// it.
func TestReadPart(t *testing.T) {
	s := newShelf(t)
	whole := s.serve(t, faultserver.Rule{Fault: faultserver.NoRanges()})
	for _, r := range [][2]int64{{100_000, 500}, {0, 500}, {199_999, 1}} {
		c := testClient(t, quick(), whole.URL)
		_, err := readPart(t.Context(), c, s.name, r[0], r[1])
		wantSentinel(t, err, ErrWholeFiles, whole.URL)
		if n := c.Stats().BytesBody; n != 0 {
			t.Errorf("%v: %d bytes of a body were taken", r, n)
		}
	}
	// All of the file is no part.
	c := testClient(t, quick(), whole.URL)
	if b, err := readPart(t.Context(), c, s.name, 0, 200_000); err != nil || !bytes.Equal(b, s.pack) {
		t.Errorf("all of it: %d bytes, %v", len(b), err)
	}
	ranged := s.serve(t)
	for _, urls := range [][]string{{whole.URL, ranged.URL}, {ranged.URL, whole.URL}} {
		c := testClient(t, quick(), urls...)
		for range 2 {
			if b, err := readPart(t.Context(), c, s.name, 100_000, 500); err != nil || !bytes.Equal(b, s.pack[100_000:100_500]) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		}
		if n := c.Stats().BytesBody; n != 1000 {
			t.Errorf("%d bytes came for two parts of 500", n)
		}
	}
	// A mirror with ranges that lacks the file leaves the other one's, whole.
	lacking := s.serve(t, faultserver.Rule{Fault: faultserver.Status(404, 0)})
	_, err := readPart(t.Context(), testClient(t, quick(), lacking.URL, whole.URL), s.name, 100_000, 500)
	wantSentinel(t, err, ErrWholeFiles, whole.URL)
	// A part that breaks off is not taken up with the whole file.
	turning := s.serve(t, faultserver.Rule{Nth: 1, Fault: faultserver.Cut(200)}, faultserver.Rule{Fault: faultserver.NoRanges()})
	c = testClient(t, quick(), turning.URL)
	b, err := readPart(t.Context(), c, s.name, 100_000, 500)
	wantSentinel(t, err, ErrWholeFiles, turning.URL)
	if n := c.Stats().BytesBody; len(b) != 200 || n != 200 {
		t.Errorf("%d bytes were read, %d came", len(b), n)
	}
}

// TestRangesAreKnown: whether parts are to be had is known from the first answer, or asked for with
// one byte.
func TestRangesAreKnown(t *testing.T) {
	s := newShelf(t)
	// says nothing of ranges unless it sends one
	silent := func(next faultserver.Fault) faultserver.Fault {
		return func(w http.ResponseWriter, r *http.Request, h http.Handler) {
			next(&unsaying{w}, r, h)
		}
	}
	plain := func(w http.ResponseWriter, r *http.Request, h http.Handler) { h.ServeHTTP(w, r) }
	for name, tt := range map[string]struct {
		fault faultserver.Fault
		want  bool
		asks  int
	}{
		"says so":             {plain, true, 0},
		"sends them silently": {silent(plain), true, 1},
		"sends whole files":   {silent(faultserver.NoRanges()), false, 1},
	} {
		srv := s.serve(t, faultserver.Rule{Fault: tt.fault})
		c := testClient(t, quick(), srv.URL)
		if _, err := c.Pointer(t.Context(), "stable"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := c.Ranges(t.Context(), mirror.PointerPath("stable")); got != tt.want {
				t.Errorf("%s: got %v", name, got)
			}
		}
		if n := srv.Requests("") - 1; n != tt.asks {
			t.Errorf("%s: %d requests to find out, want %d", name, n, tt.asks)
		}
	}
	// One of two is enough; a dead one is not waited for twice.
	whole := s.serve(t, faultserver.Rule{Fault: silent(faultserver.NoRanges())})
	if !testClient(t, quick(), whole.URL, s.serve(t).URL).Ranges(t.Context(), mirror.PointerPath("stable")) {
		t.Error("a second mirror with ranges does not count")
	}
	if !testClient(t, quick(), s.dir).Ranges(t.Context(), mirror.PointerPath("stable")) {
		t.Error("a folder has no ranges")
	}
	o := quick()
	o.Timeout = time.Second
	if testClient(t, o, "http://127.0.0.1:9", whole.URL).Ranges(t.Context(), mirror.PointerPath("stable")) {
		t.Error("a dead mirror counts as one with ranges")
	}
}

// unsaying drops what a server says of ranges.
type unsaying struct{ http.ResponseWriter }

func (u *unsaying) WriteHeader(status int) {
	u.Header().Del("Accept-Ranges")
	u.ResponseWriter.WriteHeader(status)
}

func TestWholeFilesAreToldOnce(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Fault: faultserver.NoRanges()})
	o, told := quick(), 0
	o.Log = func(e Event) {
		if strings.Contains(e.Text, "sends whole files") {
			told++
		}
	}
	c := testClient(t, o, srv.URL)
	for range 3 {
		_, err := readPart(t.Context(), c, s.name, 5, 5)
		wantSentinel(t, err, ErrWholeFiles, srv.URL)
	}
	if told != 1 || srv.Requests("") != 1 {
		t.Errorf("told %d times after %d requests", told, srv.Requests(""))
	}
}
