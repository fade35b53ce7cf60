package scripts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes an executable file.
func program(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "20-bad", "echo no route; echo and so on >&2; exit 3", 0o755)
	program(t, dir, "10-good", `echo "slot $DELTAUP_SLOT"`, 0o755)
	program(t, dir, "30-after", "exit 0", 0o755)
	program(t, dir, "15-no-program", "exit 1", 0o644)
	program(t, dir, ".hidden", "exit 1", 0o755)
	program(t, dir, "40-much", "yes | head -c 100000; echo the end", 0o755)
	if err := os.Mkdir(filepath.Join(dir, "05-folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), dir, []string{"DELTAUP_SLOT=b"}, Timeout)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range results {
		names = append(names, filepath.Base(r.Path))
	}
	if got := strings.Join(names, " "); got != "10-good 20-bad 30-after 40-much" {
		t.Fatalf("ran %s", got)
	}
	if results[0].Output != "slot b" || results[0].Err != nil {
		t.Errorf("good: %+v", results[0])
	}
	if results[1].Output != "no route\nand so on" || results[1].Err == nil || results[1].Err.Error() != "exit status 3" {
		t.Errorf("bad: %+v", results[1])
	}
	if out := results[3].Output; len(out) > maxOutput || !strings.HasSuffix(out, "the end") {
		t.Errorf("of much output %d bytes are kept", len(out))
	}
	if f := Failed(results); f != &results[1] {
		t.Errorf("failed: %+v", f)
	}
	if Failed(results[:1]) != nil {
		t.Error("a success is called a failure")
	}
}

func TestNoFolder(t *testing.T) {
	results, err := Run(t.Context(), filepath.Join(t.TempDir(), "none"), nil, Timeout)
	if err != nil || results != nil {
		t.Errorf("got %v, %v", results, err)
	}
}

// TestTimeout runs what would sleep for an hour, in a child that holds the output open.
func TestTimeout(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "hangs", "echo started; sleep 3600 & sleep 3600", 0o755)
	results, err := Run(t.Context(), dir, nil, 300*time.Millisecond)
	if err != nil || len(results) != 1 || results[0].Err == nil || results[0].Output != "started" {
		t.Fatalf("got %+v, %v", results, err)
	}
	if want := "not done within 300ms"; results[0].Err.Error() != want {
		t.Errorf("got %v, want %s", results[0].Err, want)
	}
}

func TestCanceled(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "1", "sleep 3600", 0o755)
	program(t, dir, "2", "touch "+filepath.Join(dir, "ran"), 0o755)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Run(ctx, dir, nil, Timeout); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("the second ran")
	}
}
