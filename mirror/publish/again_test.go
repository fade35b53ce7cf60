package publish_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"deltaup/internal/test/mirrortest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

// TestAgainInterrupted: a publisher that is interrupted while it looks at what is there does not
// call the mirror damaged.
func TestAgainInterrupted(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "image")
	mirrortest.WriteFile(t, file, mirrortest.Noise(1, 100<<10))
	p := publish.Publication{Version: "1", Artifacts: []publish.File{{Name: "image", Path: file}}}
	to := folder.At(filepath.Join(dir, "mirror"))
	if _, err := publish.Add(t.Context(), to, p); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := publish.Add(ctx, &interrupted{to, cancel}, p); !errors.Is(err, context.Canceled) || errors.Is(err, mirror.ErrDamaged) {
		t.Error(err)
	}
}

// interrupted is a store whose user loses patience when an index is opened.
type interrupted struct {
	mirror.Store
	cancel context.CancelFunc
}

func (s *interrupted) Open(ctx context.Context, name string) (mirror.File, error) {
	if kind, _, ok := mirror.HashName(name); ok && kind == "indexes" {
		s.cancel()
	}
	return s.Store.Open(ctx, name)
}
