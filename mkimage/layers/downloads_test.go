package layers_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/plainfile"
	"deltaup/mkimage/layers"
)

// TestTake keeps a package that nobody knows by its hash, looks at it first, asks a busy server
// again and reads no more than one byte too many.
func TestTake(t *testing.T) {
	asked, body := 0, "content"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Log(err) // the client had enough
		}
	}))
	defer server.Close()
	c := &layers.Downloads{Dir: filepath.Join(t.TempDir(), "cache")}
	p := layers.Locked{Name: "a", Version: "1", Size: 7, URL: server.URL + "/a.apk"}
	looked := ""
	got, err := c.Take(t.Context(), p, func(path string) error {
		b, err := os.ReadFile(path)
		looked = string(b)
		return err
	})
	if want := "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"; err != nil || got.SHA256 != want || looked != body || asked != 2 {
		t.Fatalf("%+v, %v; looked at %q, asked %d times", got, err, looked, asked)
	}
	kept := filepath.Join(c.Dir, got.SHA256+".apk")
	if path, err := c.Path(t.Context(), got); err != nil || path != kept || asked != 2 {
		t.Errorf("%s, %v, asked %d times", path, err, asked)
	}
	body = strings.Repeat("x", 1<<20)
	refusal := errors.New("refused")
	if _, err := c.Take(t.Context(), p, func(path string) error {
		info, err := os.Stat(path)
		if err != nil || info.Size() != p.Size+1 {
			t.Errorf("it has %d bytes, %v", info.Size(), err)
		}
		return refusal
	}); !errors.Is(err, refusal) || asked != 3 {
		t.Errorf("refused: %v, asked %d times", err, asked)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) != 1 {
		t.Errorf("the cache has %v, %v", left, err)
	}
}

// TestRead reads as much as it may.
func TestRead(t *testing.T) {
	server := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer server.Close()
	c := &layers.Downloads{}
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("12345678"), 0o644); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]error{7: plainfile.ErrTooLong, 8: nil, 9: nil} {
		text, err := c.Read(t.Context(), "file://"+path, limit)
		if !errors.Is(err, want) || want == nil && string(text) != "12345678" || want != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("at most %d bytes: %q, %v", limit, text, err)
		}
	}
	if _, err := c.Read(t.Context(), server.URL+"/nosuch", 1); !errors.Is(err, layers.ErrGone) {
		t.Errorf("missing: %v", err)
	}
}
