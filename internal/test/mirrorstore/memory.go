package mirrorstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"deltaup/mirror"
)

// Memory is a mirror in memory that is like an object store: it has no folders, and renames
// nothing. Its zero value is empty. Goroutines may use it at the same time.
type Memory struct {
	mu     sync.Mutex
	files  map[string][]byte // never changed in place
	locked bool
}

func (m *Memory) String() string { return "memory" }

// Look implements [mirror.Store].
func (m *Memory) Look(context.Context) (mirror.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.files) == 0 {
		return mirror.Empty, nil
	}
	for name := range m.files {
		root, _ := path.Match("metadata/*.root.json", name)
		if root || name == mirror.TimestampPath {
			return mirror.Signed, nil
		}
	}
	return mirror.Unsigned, nil
}

// Lock implements [mirror.Store].
func (m *Memory) Lock(ctx context.Context, wait func()) (unlock func(), err error) {
	for !m.tryLock() {
		if wait == nil {
			return nil, fmt.Errorf("mirror %s: %w", m, mirror.ErrBusy)
		}
		wait()
		wait = func() {}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.locked = false
	}), nil
}

func (m *Memory) tryLock() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	free := !m.locked
	m.locked = true
	return free
}

// Recover implements [mirror.Store]: drafts are gone with who wrote them.
func (m *Memory) Recover(context.Context) error { return nil }

// Open implements [mirror.Files].
func (m *Memory) Open(_ context.Context, name string) (mirror.File, error) {
	if err := mirror.CheckPath(name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.files[name]
	if !ok {
		return nil, fmt.Errorf("%s/%s: %w", m, name, fs.ErrNotExist)
	}
	return memoryFile{bytes.NewReader(b)}, nil
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// List implements [mirror.Files].
func (m *Memory) List(_ context.Context, dir string) ([]mirror.Entry, error) {
	if dir != "" {
		if err := mirror.CheckPath(dir); err != nil {
			return nil, err
		}
		dir += "/"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []mirror.Entry
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		if strings.HasPrefix(name, dir) {
			list = append(list, mirror.Entry{Name: name, Size: int64(len(m.files[name]))})
		}
	}
	return list, nil
}

// Write implements [mirror.Store].
func (m *Memory) Write(_ context.Context, name string, b []byte) error {
	if err := mirror.CheckPath(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string][]byte{}
	}
	m.files[name] = bytes.Clone(b)
	return nil
}

// Remove implements [mirror.Store].
func (m *Memory) Remove(_ context.Context, name string) error {
	if err := mirror.CheckPath(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

// Create implements [mirror.Store].
func (m *Memory) Create(context.Context) (mirror.Draft, error) { return &memoryDraft{m: m}, nil }

// memoryDraft is a file that is being written.
type memoryDraft struct {
	m            *Memory
	b            []byte
	sealed, done bool
}

func (d *memoryDraft) Write(p []byte) (int, error) { return d.WriteAt(p, int64(len(d.b))) }

func (d *memoryDraft) WriteAt(p []byte, off int64) (int, error) {
	if d.sealed {
		return 0, fs.ErrClosed
	}
	if more := off + int64(len(p)) - int64(len(d.b)); more > 0 {
		d.b = append(d.b, make([]byte, more)...)
	}
	return copy(d.b[off:], p), nil
}

func (d *memoryDraft) ReadAt(p []byte, off int64) (int, error) {
	if d.sealed {
		return 0, fs.ErrClosed
	}
	if off >= int64(len(d.b)) {
		return 0, io.EOF
	}
	n := copy(p, d.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *memoryDraft) Seal() error {
	d.sealed = true
	return nil
}

func (d *memoryDraft) Commit(ctx context.Context, name string) error {
	if d.done {
		return fs.ErrClosed
	}
	if err := d.m.Write(ctx, name, d.b); err != nil {
		return err
	}
	d.sealed, d.done = true, true
	return nil
}

func (d *memoryDraft) Discard() { d.sealed, d.done = true, true }
