package client

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
)

// TestReuse: an answer that a file is not there costs no connection, whichever word it has, and no
// time when its text never ends.
func TestReuse(t *testing.T) {
	s := newShelf(t)
	for _, status := range []int{404, 410, 403, 400} {
		var made atomic.Int64
		lacks := faultserver.Status(status, 0)
		files := serve.Handler(s.dir)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metadata/2.root.json" {
				lacks(w, r, files)
				return
			}
			files.ServeHTTP(w, r)
		}))
		srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				made.Add(1)
			}
		}
		srv.Start()
		c := testClient(t, quick(), srv.URL)
		err := c.FetchOptional(t.Context(), "metadata/2.root.json", 1000, func([]byte) error { return nil })
		if !errors.Is(err, ErrMissing) {
			t.Errorf("%d: %v", status, err)
		}
		if _, err := readRange(t.Context(), c, s.name, 0, 100); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		srv.Close()
		if n := made.Load(); n != 1 {
			t.Errorf("%d: %d connections", status, n)
		}
	}
}

// TestEndlessError: the text of an error is not waited for.
func TestEndlessError(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	c := testClient(t, Options{}, srv.URL)
	start := time.Now()
	err := c.FetchOptional(t.Context(), "metadata/2.root.json", 1000, func([]byte) error { return nil })
	if took := time.Since(start); !errors.Is(err, ErrMissing) || took > 30*time.Second {
		t.Errorf("%v, after %v", err, took)
	}
}
