package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"deltaup/internal/test/cpiotest"
)

// TestRecompress: what is recompressed is an initrd, and recompressing it changes nothing.
func TestRecompress(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	files := map[string][]byte{"init": []byte("#!/bin/sh\n"), "lib": bytes.Repeat([]byte("library\n"), 9000)}
	if err := os.WriteFile(path("initrd"), cpiotest.Initrd(files), 0o644); err != nil {
		t.Fatal(err)
	}
	mustDeltaup(t, "recompress", path("initrd"), path("once"))
	mustDeltaup(t, "recompress", path("once"), path("twice"))
	once, err := os.ReadFile(path("once"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := os.ReadFile(path("twice"))
	if err != nil || !bytes.HasPrefix(once, []byte("\x28\xb5\x2f\xfd")) || !bytes.Equal(once, twice) {
		t.Errorf("%d bytes, then %d, %v", len(once), len(twice), err)
	}
	if err := os.WriteFile(path("other"), []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := deltaup(t, "recompress", path("other"), path("none")); code == 0 || !strings.Contains(stderr, "can't be taken apart") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := deltaup(t, "recompress", "--level", "most", path("initrd"), path("none")); code != exitUsage || !strings.Contains(stderr, "most") {
		t.Errorf("there is no such level: exit code %d: %s", code, stderr)
	}
	must(t, syscall.Mkfifo(path("fifo"), 0o600))
	for _, output := range []string{path("fifo"), dir} {
		if code, _, stderr := deltaup(t, "recompress", path("initrd"), output); code != exitUsage || !strings.Contains(stderr, output+": ") {
			t.Errorf("%s: exit code %d: %s", output, code, stderr)
		}
	}
	if info, err := os.Stat(path("fifo")); err != nil || info.Mode().IsRegular() {
		t.Errorf("the pipe is now %v, %v", info, err)
	}
	must(t, os.Remove(path("fifo")))
	if left, _ := filepath.Glob(path("*")); len(left) != 4 {
		t.Errorf("left behind: %q", left)
	}
}
