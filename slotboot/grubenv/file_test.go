package grubenv

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newFile is a new environment block.
func newFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grubenv")
	if err := os.WriteFile(path, raw(""), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestChangeInPlace demands the same inode and size, and another user's variables.
func TestChangeInPlace(t *testing.T) {
	path := newFile(t)
	if err := os.WriteFile(path, raw("saved_entry=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	err = Change(t.Context(), path, func(b *Block) error { return b.Set("deltaup_active", "a") })
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || after.Size() != Size {
		t.Errorf("another file, or %d bytes", after.Size())
	}
	b, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"saved_entry": "2", "deltaup_active": "a"} {
		if got, _ := b.Get(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
}

// TestChangeWithoutChange writes nothing, even where Marshal would lay the block out anew.
func TestChangeWithoutChange(t *testing.T) {
	path := newFile(t)
	foreign := raw("saved_entry=2\ngarbage\ndeltaup_active=a\n")
	if err := os.WriteFile(path, foreign, 0o644); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := Change(t.Context(), path, func(b *Block) error { b.Unset("saved_entry"); return failed }); err != failed {
		t.Errorf("error %v", err)
	}
	if err := Change(t.Context(), path, func(b *Block) error { return b.Set("saved_entry", "2") }); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, foreign) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestChangeLocks(t *testing.T) {
	path := newFile(t)
	const users = 8
	var wg sync.WaitGroup
	for i := range users {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := Change(t.Context(), path, func(b *Block) error { return b.Set("user_"+string(rune('a'+i)), "1") })
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if b, err := Read(path); err != nil || len(b.vars) != users {
		t.Errorf("%d of %d changes are there, %v", len(b.vars), users, err)
	}

	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockPoll+time.Millisecond)
	defer cancel()
	err = Change(ctx, path, func(*Block) error { t.Error("changed a locked block"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
