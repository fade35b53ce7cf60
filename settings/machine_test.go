package settings

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
)

// machine is a machine whose images are folders.
type machine struct {
	t     testing.TB
	dir   string
	store *Store
	root  string // where places are mounted
	up    []string
	last  *Report
	fails bool // boots may fail and fall back
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	m := &machine{t: t, dir: t.TempDir()}
	m.root = filepath.Join(m.dir, "root")
	m.open()
	t.Cleanup(func() { m.down(); m.store.Close() })
	return m
}

func (m *machine) open() {
	m.t.Helper()
	var err error
	m.store, err = Open(filepath.Join(m.dir, "store"))
	m.do(err)
}

func (m *machine) do(errs ...error) {
	m.t.Helper()
	for _, err := range errs {
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// image makes an image of lines "PATH CONTENT"; a path with a slash at its end is a folder, and a
// content that begins with -> a link. Its list is the lines that begin with a word of lists.
func (m *machine) image(name string, lines ...string) {
	m.t.Helper()
	conf := "/usr/lib/deltaup/settings.d/test.conf "
	for _, line := range lines {
		word, _, _ := strings.Cut(line, " ")
		switch word {
		case "keep", "except", "forget", "data":
			conf += line + "\n"
			continue
		}
		m.put(filepath.Join(m.dir, name), line)
	}
	m.put(filepath.Join(m.dir, name), conf)
}

// put makes a file, a folder or a link as image does.
func (m *machine) put(root, line string) {
	m.t.Helper()
	path, content, _ := strings.Cut(line, " ")
	full := filepath.Join(root, path)
	m.do(os.MkdirAll(filepath.Dir(full), 0o755))
	target, link := strings.CutPrefix(content, "->")
	switch {
	case strings.HasSuffix(path, "/"):
		m.do(os.MkdirAll(full, 0o755))
	case link:
		m.do(os.RemoveAll(full), os.Symlink(target, full))
	default:
		m.do(os.WriteFile(full, []byte(content), 0o644))
	}
}

func imageID(name string) chunkstore.ID { return chunkstore.Sum([]byte(name)) }

func (m *machine) source(name string) *Source {
	m.t.Helper()
	s, err := FromFolder(filepath.Join(m.dir, name), imageID(name))
	m.do(err)
	m.t.Cleanup(func() { s.Close() })
	return s
}

// boot boots an image.
func (m *machine) boot(name string) *Report {
	m.t.Helper()
	r, err := m.tryBoot(name)
	m.do(err)
	if r.Failure != nil && !m.fails {
		m.t.Fatalf("boot of %s: %v", name, r.Failure)
	}
	return r
}

func (m *machine) tryBoot(name string) (*Report, error) {
	m.t.Helper()
	m.down()
	r, err := Boot(context.Background(), m.store, m.source(name))
	if err != nil {
		return nil, err
	}
	m.last = r
	for _, p := range r.Places {
		m.mount(filepath.Join(m.dir, name), p)
	}
	return r, nil
}

func (m *machine) mount(image string, p Place) {
	m.t.Helper()
	on, lower := filepath.Join(m.root, p.Path), filepath.Join(image, p.Path)
	m.do(os.MkdirAll(on, 0o755))
	if p.Missing {
		lower = m.t.TempDir()
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,redirect_dir=off,index=off,metacopy=off,xino=off",
		lower, p.Upper.Fd(), p.Work.Fd())
	if err := unix.Mount("overlay", on, "overlay", 0, options); err != nil {
		m.t.Skipf("no overlay can be mounted here: %v", err)
	}
	m.up = append(m.up, on)
}

// down ends the machine's run.
func (m *machine) down() {
	m.t.Helper()
	for _, on := range slices.Backward(m.up) {
		m.do(unix.Unmount(on, 0))
	}
	m.up = nil
	if m.last != nil {
		m.do(m.last.Close())
		m.last = nil
	}
}

// edit changes the running machine: lines as for image, or "rm PATH".
func (m *machine) edit(lines ...string) {
	m.t.Helper()
	for _, line := range lines {
		if path, ok := strings.CutPrefix(line, "rm "); ok {
			m.do(os.RemoveAll(filepath.Join(m.root, path)))
			continue
		}
		m.put(m.root, line)
	}
}

// want compares what the running machine has: lines as for image, or "no PATH".
func (m *machine) want(lines ...string) {
	m.t.Helper()
	for _, line := range lines {
		if path, ok := strings.CutPrefix(line, "no "); ok {
			if _, err := os.Lstat(filepath.Join(m.root, path)); err == nil {
				m.t.Errorf("%s is there", path)
			}
			continue
		}
		path, content, _ := strings.Cut(line, " ")
		full := filepath.Join(m.root, path)
		if target, ok := strings.CutPrefix(content, "->"); ok {
			if have, err := os.Readlink(full); have != target {
				m.t.Errorf("%s leads to %q, not %q: %v", path, have, target, err)
			}
			continue
		}
		have, err := os.ReadFile(full)
		if string(have) != content {
			m.t.Errorf("%s is %q, want %q: %v", path, have, content, err)
		}
	}
}

// names joins what a report says for comparisons.
func names(list []string) string { return strings.Join(list, " ") }

func conflictPaths(r *Report) string {
	var all []string
	for _, c := range r.Conflicts {
		all = append(all, c.Path()+"="+c.Taken)
	}
	return names(all)
}
