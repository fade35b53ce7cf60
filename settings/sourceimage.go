package settings

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// squashTree is an image in a file.
type squashTree struct{ image *squashfs.Image }

func (t *squashTree) close() error { return nil }
func (t *squashTree) fs() fs.FS    { return imageFS{t.image} }

func (t *squashTree) find(full string) (*found, error) {
	n, err := t.image.Lookup(full[1:])
	if err != nil {
		return nil, err
	}
	return t.found(n), nil
}

func (t *squashTree) found(n *squashfs.Node) *found {
	f := &found{Entry: Entry{Path: "/" + n.Path, Mode: uint32(n.Mode), UID: n.UID, GID: n.GID}}
	switch n.Type {
	case tree.Regular:
		f.Kind, f.Size = File, n.Size
		f.open = func() (io.ReadCloser, error) { return openNode(t.image, n) }
	case tree.Directory:
		f.Kind = Folder
	case tree.Symlink:
		f.Kind, f.Mode, f.Target = Link, 0, n.Target
		return f
	default:
		f.other = true
		return f
	}
	for _, x := range n.Xattrs {
		if validXattr(x.Name) {
			f.Xattrs = append(f.Xattrs, Xattr{x.Name, string(x.Value)})
		}
	}
	sortBy(f.Xattrs, xattrName)
	return f
}

func openNode(m *squashfs.Image, n *squashfs.Node) (io.ReadCloser, error) {
	f, err := m.File(n)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(f, 0, f.Size())), nil
}

func (t *squashTree) walk(full string, want func(string) bool, fn func(*found) error) error {
	top, err := t.image.Lookup(full[1:])
	if errors.Is(err, fs.ErrNotExist) || err == nil && !want(full) {
		return nil
	}
	if err != nil {
		return err
	}
	wanted := func(p string) bool { return "/"+p == full || want("/"+p) }
	return t.image.WalkWanted(top, wanted, func(n *squashfs.Node) error { return fn(t.found(n)) })
}

// imageFS is an image for package list: it opens files and lists folders.
type imageFS struct{ image *squashfs.Image }

// node finds a path. It follows links, as os.Root does.
func (f imageFS) node(name string) (*squashfs.Node, error) {
	left := tree.MaxSymlinks
	rest := strings.Split(name, "/")
	at := ""
	n, err := f.image.Lookup("")
	for err == nil && len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			if at = path.Dir(at); at == "." {
				at = ""
			}
			n, err = f.image.Lookup(at)
			continue
		}
		if n, err = f.image.Lookup(path.Join(at, next)); err != nil {
			break
		}
		if n.Type != tree.Symlink {
			at = path.Join(at, next)
			continue
		}
		if left--; left < 0 {
			return nil, errors.New("too many links")
		}
		if path.IsAbs(n.Target) {
			at = ""
		}
		rest = append(strings.Split(n.Target, "/"), rest...)
		n, err = f.image.Lookup(at)
	}
	return n, err
}

// Open implements fs.FS.
func (f imageFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	n, err := f.node(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	o := &imageFile{fs: f, node: n}
	if n.Type == tree.Regular {
		o.Reader, err = openNode(f.image, n)
	}
	return o, err
}

// imageFile is an open file or folder of an image.
type imageFile struct {
	io.Reader
	fs   imageFS
	node *squashfs.Node
	rest []fs.DirEntry
	read bool
}

func (f *imageFile) Read(p []byte) (int, error) {
	if f.Reader == nil {
		return 0, &fs.PathError{Op: "read", Path: f.node.Path, Err: fs.ErrInvalid}
	}
	return f.Reader.Read(p)
}

func (f *imageFile) Close() error               { return nil }
func (f *imageFile) Stat() (fs.FileInfo, error) { return imageInfo{f.node}, nil }

// ReadDir implements fs.ReadDirFile.
func (f *imageFile) ReadDir(count int) ([]fs.DirEntry, error) {
	if !f.read {
		f.read = true
		err := f.fs.image.WalkFrom(f.node, func(n *squashfs.Node) error {
			if n.Path == f.node.Path {
				return nil
			}
			f.rest = append(f.rest, fs.FileInfoToDirEntry(imageInfo{n}))
			if n.Type == tree.Directory {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if count <= 0 {
		count = len(f.rest)
	} else if len(f.rest) == 0 {
		return nil, io.EOF
	}
	count = min(count, len(f.rest))
	some := f.rest[:count]
	f.rest = f.rest[count:]
	return some, nil
}

// imageInfo is what is known of a name in an image.
type imageInfo struct{ node *squashfs.Node }

func (i imageInfo) Name() string       { return path.Base("/" + i.node.Path) }
func (i imageInfo) Size() int64        { return i.node.Size }
func (i imageInfo) ModTime() time.Time { return time.Unix(int64(i.node.ModTime), 0) }
func (i imageInfo) IsDir() bool        { return i.node.Type == tree.Directory }
func (i imageInfo) Sys() any           { return nil }

func (i imageInfo) Mode() fs.FileMode {
	perm := fs.FileMode(i.node.Mode & 0o777)
	switch i.node.Type {
	case tree.Regular:
		return perm
	case tree.Directory:
		return perm | fs.ModeDir
	case tree.Symlink:
		return perm | fs.ModeSymlink
	}
	return perm | fs.ModeIrregular
}
