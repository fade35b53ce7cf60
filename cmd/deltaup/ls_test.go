package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLsOracle compares the list of an image with that of unsquashfs, line by line.
func TestLsOracle(t *testing.T) {
	for _, tool := range []string{"mksquashfs", "unsquashfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("DELTAUP_TEST_ALL") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	pseudo := `
/ d 1755 1 2
big f 640 4294967294 4294967294 head -c 1000000 /dev/zero
dev d 755 0 0
dev/disk b 660 0 6 8 200
dev/null c 666 0 0 1 3
dev/fifo i 644 0 0 f
dev/sock i 755 0 0 s
link s 777 3 4 dev/../dev
setuid f 4755 0 0 echo x
setgid f 2644 0 0 echo x
sticky d 1776 0 0
sticky/x f 7000 12345 678 echo x
`
	if err := os.WriteFile(filepath.Join(dir, "pseudo"), []byte(pseudo), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mksquashfs", empty, image, "-pf", filepath.Join(dir, "pseudo"), "-quiet", "-no-progress").CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	cmd := exec.Command("unsquashfs", "-lln", "-d", "", image)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	theirs, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	// They write "/dev/null", and nothing for the root.
	want := strings.Split(strings.TrimRight(string(theirs), "\n"), "\n")
	want[0] += "."
	for i, line := range want {
		want[i] = strings.Replace(line, " /", " ", 1)
	}

	var stdout, stderr bytes.Buffer
	env := &Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	if code := run(context.Background(), env, []string{"ls", image}); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.Bytes())
	}
	got := strings.Split(strings.TrimRight(stdout.String(), "\n"), "\n")
	if len(got) != 12 || len(want) != len(got) {
		t.Fatalf("%d lines, unsquashfs has %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("line %d is\n%s\nunsquashfs has\n%s", i+1, got[i], want[i])
		}
	}
}
