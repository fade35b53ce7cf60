package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mirror/folder"
	"deltaup/trust"
)

func TestCheck(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.rotate(trust.Change{Role: "targets"})
	s.publish("2", "stable", trust.Info{})
	s.must(trust.Check(context.Background(), folder.At(s.dir)))
	good := s.copyOf()
	for _, name := range []string{
		"metadata/2.root.json", "metadata/timestamp.json", "metadata/4.targets.json", "metadata/4.snapshot.json", "releases/1.json",
	} {
		copyTree(t, s.dir, good)
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		s.must(err)
		s.must(os.WriteFile(filepath.Join(s.dir, name), b[:len(b)-9], 0o644))
		if err := trust.Check(context.Background(), folder.At(s.dir)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s cut: %v", name, err)
		}
	}
	for _, name := range []string{"timestamp.json", "2.root.json", "5.targets.json", "5.snapshot.json"} {
		dir := t.TempDir()
		s.must(os.Mkdir(filepath.Join(dir, "metadata"), 0o755))
		s.must(os.WriteFile(filepath.Join(dir, "metadata", name), []byte(`{"signed":`), 0o644))
		if err := trust.Check(context.Background(), folder.At(dir)); err == nil || errors.Is(err, trust.ErrUnsigned) || !strings.Contains(err.Error(), name) {
			t.Errorf("nothing but %s, malformed: %v", name, err)
		}
	}
	if err := trust.Check(context.Background(), folder.At(t.TempDir())); !errors.Is(err, trust.ErrUnsigned) {
		t.Errorf("no mirror: %v", err)
	}
}
