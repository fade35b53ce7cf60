package layers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// stage is a tree while it is composed.
type stage struct {
	files   map[string]*file // by path; several paths of one inode share it
	time    uint32           // of what rules make
	closers []io.Closer

	warnings []string // what the tree lacks of what rules make, in sentences

	mergedUsr bool // bin, sbin and lib* are links into usr
}

// file is an inode of a stage.
type file struct {
	tree.Attr
	size     int64
	open     func() (io.ReadCloser, error) // regular files
	from     string                        // the layer or rule that it came from, for messages
	layer    string
	priority int
}

const readMax = 32 << 20 // bytes of a file that a rule reads

func newStage(time uint32) *stage {
	return &stage{
		files: map[string]*file{"": folder(0o755, time)},
		time:  time,
	}
}

func folder(mode uint16, time uint32) *file {
	return &file{Attr: tree.Attr{Type: tree.Directory, Mode: mode, ModTime: time}, from: "nothing"}
}

func (s *stage) Close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	s.closers = nil
	return err
}

// cleanPath gives a path of the tree. An absolute one is taken from the tree's root.
func cleanPath(name string) (string, error) {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" || strings.ContainsRune(name, 0) ||
		slices.Contains(strings.Split(name, "/"), "..") {
		return "", wrong("the path %q: want one below the root, without ..", name)
	}
	return clean, nil
}

func parent(name string) string {
	dir, _ := path.Split(name)
	return strings.TrimSuffix(dir, "/")
}

// resolve gives the path of a folder's content without symbolic links: where name leads, all names
// of it but the last followed. ok is false when it leads nowhere.
func (s *stage) resolve(name string) (string, bool) {
	if name == "" {
		return "", true
	}
	dir, ok := s.follow(parent(name))
	if !ok {
		return "", false
	}
	return path.Join(dir, path.Base(name)), true
}

// follow gives where a path leads, all links followed. What is missing of it leads where its name
// says. ok is false when links lead in a circle.
func (s *stage) follow(name string) (string, bool) {
	at, links := "", 0
	for name != "" {
		var first string
		first, name, _ = strings.Cut(name, "/")
		switch first {
		case "", ".":
			continue
		case "..":
			at = parent(at)
			continue
		}
		next := path.Join(at, first)
		f := s.files[next]
		if f == nil || f.Type != tree.Symlink {
			at = next
			continue
		}
		if links++; links > tree.MaxSymlinks {
			return "", false
		}
		if strings.HasPrefix(f.Target, "/") {
			at = ""
		}
		name = f.Target + "/" + name
	}
	return at, true
}

// find gives what a path leads to, or nil.
func (s *stage) find(name string) *file {
	at, ok := s.follow(name)
	if !ok {
		return nil
	}
	return s.files[at]
}

// read gives the content of a file of at most readMax bytes. ok is false when there is none.
func (s *stage) read(name string) (content []byte, ok bool, err error) {
	f := s.find(name)
	if f == nil {
		return nil, false, nil
	}
	content, err = f.read()
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return content, err == nil, err
}

func (f *file) read() ([]byte, error) {
	if f.Type != tree.Regular || f.size > readMax {
		return nil, wrong("it is no regular file of at most %d MiB", readMax>>20)
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// made gives a regular file that a rule makes, owned by root.
func (s *stage) made(rule string, mode uint16, content []byte) *file {
	return &file{
		Attr: tree.Attr{Type: tree.Regular, Mode: mode, ModTime: s.time},
		size: int64(len(content)), from: rule,
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// symlink gives a symbolic link that a rule makes.
func (s *stage) symlink(rule, target string) *file {
	return &file{
		Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, ModTime: s.time, Target: target},
		from: rule,
	}
}

// write puts a file where path leads, in place of what is there, and makes the folders on the way.
// It is an error when a folder is there and f is none.
func (s *stage) write(name string, f *file) error {
	at, ok := s.resolve(name)
	if !ok {
		return wrong("/%s leads in a circle", name)
	}
	if err := s.folders(parent(at), f.from); err != nil {
		return err
	}
	if old := s.files[at]; old != nil && old.Type == tree.Directory && f.Type != tree.Directory {
		return wrong("/%s is a folder", at)
	}
	s.files[at] = f
	return nil
}

// folders makes a folder and those above it where they are missing.
func (s *stage) folders(name, from string) error {
	f := s.files[name]
	if f != nil {
		if f.Type != tree.Directory {
			return wrong("/%s is no folder", name)
		}
		return nil
	}
	if err := s.folders(parent(name), from); err != nil {
		return err
	}
	s.files[name] = folder(0o755, s.time)
	s.files[name].from = from
	return nil
}

// remove removes a path and what is below.
func (s *stage) remove(name string) {
	delete(s.files, name)
	for p := range s.files {
		if strings.HasPrefix(p, name+"/") {
			delete(s.files, p)
		}
	}
}

// under gives the paths below a folder, whose own path may lead through links, in path order. A
// path has the folder's true path before it.
func (s *stage) under(dir string) (paths []string) {
	at, ok := s.follow(dir)
	if !ok {
		return nil
	}
	for p := range s.files {
		if strings.HasPrefix(p, at+"/") {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, tree.Compare)
	return paths
}

// inside gives the paths just in a folder, in order.
func (s *stage) inside(dir string) []string {
	at, _ := s.follow(dir)
	return slices.DeleteFunc(s.under(dir), func(p string) bool { return parent(p) != at })
}

// dropIns gives the files with a suffix in folders of settings, in the order of their names. One in
// a later folder hides those of its name in earlier ones.
func (s *stage) dropIns(suffix string, dirs ...string) (paths []string) {
	byName := map[string]string{}
	for _, dir := range dirs {
		for _, p := range s.inside(dir) {
			if strings.HasSuffix(p, suffix) {
				byName[path.Base(p)] = p
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		paths = append(paths, byName[name])
	}
	return paths
}

// paths gives all paths in path order.
func (s *stage) paths() []string {
	paths := make([]string, 0, len(s.files))
	for p := range s.files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, tree.Compare)
	return paths
}

// tree gives the stage as a tree. Closing that closes what the stage has open.
func (s *stage) tree() tree.Tree {
	t := &composed{stage: s}
	first := map[*file]string{}
	for _, p := range s.paths() {
		f := s.files[p]
		e := tree.Entry{Attr: f.Attr, Path: p, Size: f.size}
		if f.Type != tree.Directory {
			if link, ok := first[f]; ok {
				e.Link = link
			} else {
				first[f] = p
			}
		}
		t.entries, t.files = append(t.entries, e), append(t.files, f)
	}
	return t
}

// composed is the tree of a stage as it was.
type composed struct {
	*stage
	entries []tree.Entry
	files   []*file
}

func (t *composed) Entries() []tree.Entry { return t.entries }
func (t *composed) Warnings() []string    { return t.warnings }

func (t *composed) Open(i int) (io.ReadCloser, error) {
	if e := &t.entries[i]; e.Type != tree.Regular || e.Link != "" {
		return nil, fmt.Errorf("read /%s: not the first name of a regular file", e.Path)
	}
	return t.files[i].open()
}
