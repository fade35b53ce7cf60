package apply_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/mirror"
)

// TestAccept lets the caller choose the outputs when it knows the release.
func TestAccept(t *testing.T) {
	m := newTarget(t)
	file := filepath.Join(t.TempDir(), "kernel")
	m.with = func(r *apply.Request) {
		r.Outputs = map[string]string{"no-such": "x"}
		r.Accept = func(release *mirror.Release) (map[string]string, error) {
			if release.Version != "2" {
				t.Errorf("release %s", release.Version)
			}
			return map[string]string{"kernel": file}, nil
		}
	}
	m.mustPull()
	if !bytes.Equal(readFile(t, file), readFile(t, m.w.kernel[1])) {
		t.Error("the kernel is another")
	}
}

// TestNotAccepted ends after the two files that tell of the release.
func TestNotAccepted(t *testing.T) {
	m := newTarget(t)
	unwanted := errors.New("unwanted")
	m.with = func(r *apply.Request) {
		r.Accept = func(*mirror.Release) (map[string]string, error) { return nil, unwanted }
	}
	if _, _, err := m.pull(); !errors.Is(err, unwanted) {
		t.Errorf("got %v", err)
	}
	if n := m.server.Requests(""); n != 2 {
		t.Errorf("%d requests, want pointer and release", n)
	}
}
