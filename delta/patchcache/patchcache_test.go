package patchcache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

var _ patchset.Keeper = (*Folder)(nil)

func open(t *testing.T, dir string, max int64) *Folder {
	t.Helper()
	f, err := Open(dir, max)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func key(n int) chunkstore.ID { return chunkstore.Sum([]byte{byte(n), byte(n >> 8)}) }

// names lists all files of a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestKept: what was put is there, in this run and the next one.
func TestKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := open(t, dir, 1<<20)
	if f.Get(key(1)) != nil {
		t.Error("an empty cache has something")
	}
	f.Put(key(1), []byte("one"))
	f.Put(key(2), []byte("two"))
	f.Put(key(2), []byte("two"))
	if f.Err() != nil {
		t.Fatal(f.Err())
	}
	for _, f := range []*Folder{f, open(t, dir, 1<<20)} {
		if got := f.Get(key(1)); string(got) != "one" {
			t.Errorf("got %q", got)
		}
		if f.Get(key(3)) != nil {
			t.Error("got what was never put")
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestDamaged: an entry with another bit, length or key is none, and it goes. So does what is no
// file; a pipe blocks nobody.
func TestDamaged(t *testing.T) {
	value := bytes.Repeat([]byte("value"), 100)
	for what, damage := range map[string]func(t *testing.T, path, other string) error{
		"a bit": func(t *testing.T, path, _ string) error {
			b, err := os.ReadFile(path)
			if err == nil {
				b[len(b)/2] ^= 1
				err = os.WriteFile(path, b, 0o600)
			}
			return err
		},
		"cut off":       func(t *testing.T, path, _ string) error { return os.Truncate(path, 100) },
		"nearly empty":  func(t *testing.T, path, _ string) error { return os.Truncate(path, 5) },
		"empty":         func(t *testing.T, path, _ string) error { return os.Truncate(path, 0) },
		"too long":      func(t *testing.T, path, _ string) error { return os.Truncate(path, entryMax+1000) },
		"another's":     func(t *testing.T, path, other string) error { return os.Rename(other, path) },
		"a broken link": func(t *testing.T, path, _ string) error { os.Remove(path); return os.Symlink("x", path) },
		"a folder":      func(t *testing.T, path, _ string) error { os.Remove(path); return os.Mkdir(path, 0o700) },
	} {
		f := open(t, t.TempDir(), 1<<30)
		f.Put(key(1), value)
		f.Put(key(2), []byte("another"))
		if err := damage(t, f.path(key(1)), f.path(key(2))); err != nil {
			t.Fatal(err)
		}
		if got := f.Get(key(1)); got != nil {
			t.Errorf("%s: got %d bytes", what, len(got))
		}
		if f.Put(key(1), value); !bytes.Equal(f.Get(key(1)), value) || f.Err() != nil {
			t.Errorf("%s: nothing can be put in its place (%v)", what, f.Err())
		}
	}
}

// TestBound: what was used longest ago goes when there is too much, and nothing that is not the
// cache's ever does.
func TestBound(t *testing.T) {
	const size, max = 1000, 20 << 10
	dir := t.TempDir()
	var foreign []string
	for _, name := range []string{"photo.jpg", "00/letter.txt", "new-year/plans"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, max), 0o600); err != nil {
			t.Fatal(err)
		}
		foreign = append(foreign, path)
	}
	f := open(t, dir, max)
	f.Put(key(0), make([]byte, max)) // with its hash it is above the bound
	begin := time.Now().Add(-time.Hour)
	for i := 1; i <= 100; i++ {
		f.Put(key(i), make([]byte, size))
		used := begin.Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(f.path(key(i)), used, used); err != nil {
			t.Fatal(err)
		}
		if f.Get(key(1)) == nil { // which makes it the last that was used
			t.Fatalf("%d: the first one is gone", i)
		}
	}
	sum := int64(0)
	for _, path := range names(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum -= int64(len(foreign) * max); sum > max || sum < max/2 {
		t.Errorf("%d bytes, at most %d are permitted", sum, max)
	}
	if f.Get(key(100)) == nil || f.Get(key(2)) != nil || f.Get(key(0)) != nil {
		t.Error("the wrong ones went")
	}
	for _, path := range foreign {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if n := len(names(t, open(t, dir, max/4).dir)); n > 8+len(foreign) {
		t.Errorf("%d files, with a bound for 5", n)
	}
}

// TestLeft: what a killed run has left goes after a while, not what another one is writing.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	old, new := filepath.Join(dir, tempPrefix+"1"), filepath.Join(dir, tempPrefix+"2")
	for path, age := range map[string]time.Duration{old: 2 * tempLife, new: tempLife / 2} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir, 1<<20)
	if got := names(t, dir); len(got) != 1 || got[0] != new {
		t.Errorf("left: %q", got)
	}
}

// TestNoRoom: a cache that cannot be written says so once and is still read.
func TestNoRoom(t *testing.T) {
	f := open(t, t.TempDir(), 1<<20)
	f.Put(key(1), []byte("one"))
	blocked := filepath.Dir(f.path(key(2)))
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Put(key(2), []byte("two"))
	if f.Err() == nil || !strings.Contains(f.Err().Error(), blocked) {
		t.Errorf("error %v", f.Err())
	}
	f.Put(key(3), []byte("three"))
	if f.Get(key(3)) != nil || string(f.Get(key(1))) != "one" {
		t.Error("it goes on")
	}
	if _, err := Open(filepath.Join(blocked, "x"), 1); err == nil {
		t.Error("a folder below a file")
	}
}

// TestTogether: several runs use one folder.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for run := range 4 {
		f := open(t, dir, 8<<10)
		wait.Go(func() {
			for i := range 200 {
				n := (i*7 + run) % 50
				want := fmt.Sprintf("value %d %s", n, strings.Repeat("x", n*10))
				if got := f.Get(key(n)); got != nil && string(got) != want {
					t.Errorf("entry %d is %q", n, got)
				}
				f.Put(key(n), []byte(want))
			}
			if f.Err() != nil {
				t.Error(f.Err())
			}
		})
	}
	wait.Wait()
}

// FuzzEntry: whatever lies in the folder, Get gives what was put or nothing.
func FuzzEntry(f *testing.F) {
	value := []byte("some value")
	hash := sum(key(1), value)
	whole := append(hash[:], value...)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := open(t, t.TempDir(), 1<<20)
		c.Put(key(1), value)
		if err := os.WriteFile(c.path(key(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.Get(key(1)); bytes.Equal(got, value) != bytes.Equal(b, whole) || got != nil && !bytes.Equal(got, value) {
			t.Errorf("got %q", got)
		}
	})
}
