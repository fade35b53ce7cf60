// Package durabletest stops package durable in the middle of its work, as a power cut does, for
// tests of its users:
//
//	for n := 1; ; n++ {
//		c := durabletest.CrashAt(t, n)
//		err := publish()
//		if !c.Restart() { // the work took fewer than n steps
//			break
//		}
//		// err is not nil here: demand the old state or the new one
//	}
package durabletest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"deltaup/internal/durable"
)

// ErrCrash is what every step returns from the crash on.
var ErrCrash = errors.New("simulated power cut")

// Crash is a power cut that will come. Tests that use it cannot run in parallel with others that
// write through package durable.
type Crash struct {
	t       testing.TB
	mu      sync.Mutex
	at      int
	steps   int
	restore func()

	dirty   map[string]bool // files written since their last sync
	renames []rename        // not yet synced in their folder
	folders []string        // made, and not yet synced in their parent
}

type rename struct {
	from, to string
	old      []byte // what the new name held before
	had      bool
}

// CrashAt cuts the power before step n, counted from 1: that step and all later ones do nothing and
// return ErrCrash.
func CrashAt(t testing.TB, n int) *Crash {
	c := &Crash{t: t, at: n, dirty: map[string]bool{}}
	c.restore = durable.SetHook(c.step)
	t.Cleanup(c.unhook)
	return c
}

// Restart ends the power cut. It brings the disk into the worst state that a machine may find: it
// cuts unsynced files to half, and undoes renames and folders that were not synced. It tells
// whether the power was cut at all.
func (c *Crash) Restart() bool {
	c.t.Helper()
	c.unhook()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps < c.at {
		return false
	}
	for i := len(c.renames) - 1; i >= 0; i-- {
		r := c.renames[i]
		c.must(os.Rename(r.to, r.from))
		if r.had {
			c.must(os.WriteFile(r.to, r.old, 0o644))
		}
	}
	for path := range c.dirty {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c.must(err)
		c.must(os.Truncate(path, info.Size()/2))
	}
	for _, dir := range c.folders {
		c.must(os.RemoveAll(dir))
	}
	return true
}

// Keep is Restart for a disk that keeps everything, synced or not.
func (c *Crash) Keep() bool {
	c.unhook()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps >= c.at
}

func (c *Crash) unhook() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restore != nil {
		c.restore()
		c.restore = nil
	}
}

func (c *Crash) step(s durable.Action) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps++
	if c.steps >= c.at {
		return ErrCrash
	}
	switch s.Op {
	case durable.OpWrite:
		c.dirty[s.Path] = true
	case durable.OpSync:
		delete(c.dirty, s.Path)
	case durable.OpRename:
		c.renamed(s)
	case durable.OpMkdir:
		c.folders = append(c.folders, s.Path)
	case durable.OpSyncFolder:
		c.synced(s.Path)
	case durable.OpSyncAll:
		clear(c.dirty)
		c.renames, c.folders = nil, nil
	case durable.OpRemove:
		delete(c.dirty, s.Path)
	}
	return nil
}

func (c *Crash) renamed(s durable.Action) {
	old, err := os.ReadFile(s.To)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Errorf("before a rename: %v", err)
	}
	c.renames = append(c.renames, rename{from: s.Path, to: s.To, old: old, had: err == nil})
	if c.dirty[s.Path] {
		c.t.Errorf("%s is renamed to %s before its data is synced", s.Path, s.To)
	}
}

func (c *Crash) synced(dir string) {
	c.renames = keep(c.renames, func(r rename) bool { return filepath.Dir(r.to) != dir })
	c.folders = keep(c.folders, func(path string) bool { return filepath.Dir(path) != dir })
}

func (c *Crash) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("after the power cut: %v", err)
	}
}

func keep[T any](list []T, ok func(T) bool) []T {
	var kept []T
	for _, v := range list {
		if ok(v) {
			kept = append(kept, v)
		}
	}
	return kept
}
