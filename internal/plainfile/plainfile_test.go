package plainfile

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpen demands that Open refuses a pipe to which nobody writes, at once.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(at("pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for path, want := range map[string]error{
		at("file"): nil, at("link"): nil,
		at("pipe"): ErrKind, at("socket"): ErrKind, dir: ErrKind, "/dev/null": ErrKind, at("missing"): os.ErrNotExist,
	} {
		for _, open := range []func(string) (*os.File, error){Open, OpenDevice} {
			f, err := open(path)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s: %v, want %v", path, err, want)
			}
			if err == nil {
				f.Close()
			}
		}
	}
	if b, err := Read(at("link"), 4); string(b) != "text" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := Read(at("file"), 3); err == nil {
		t.Error("read more than the limit")
	}
}
