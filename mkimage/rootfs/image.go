package rootfs

import (
	"context"
	"io"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// fromImage reads the tree of any squashfs image, in a file named name. The reader of the image
// must stay open until the tree is closed, which does not close it.
func fromImage(ctx context.Context, name string, m *squashfs.Image, o Options) (*finished, error) {
	c, err := newCollection(o)
	if err != nil {
		return nil, err
	}
	top, err := followInImage(m, c.options.Subdir)
	if err != nil {
		return nil, err
	}
	within := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, top.Path), "/") }
	want := func(path string) bool {
		path = within(path)
		return c.filter.keeps(path) || c.filter.reaches(path)
	}
	var files []*squashfs.Node // by handle
	err = m.WalkWanted(top, want, func(n *squashfs.Node) error {
		e := tree.Entry{Attr: n.Attr, Path: within(n.Path)}
		var d data
		c.setTime(&e, &d, int64(n.ModTime))
		if n.Type == tree.Regular {
			e.Size, d.handle = n.Size, int64(len(files))
			files = append(files, n)
		}
		if n.Type != tree.Directory && n.Links > 1 {
			d.group = n.Inode
		}
		var err error
		if e.Xattrs, err = c.intern(n.Xattrs); err != nil {
			return err
		}
		if err := c.add(e, d); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	t, err := c.finish(name)
	if err != nil {
		return nil, err
	}
	t.open = func(e *tree.Entry, handle int64) (io.ReadCloser, error) {
		content, err := m.File(files[handle])
		if err != nil {
			return nil, err
		}
		return openPart{io.NewSectionReader(content, 0, e.Size)}, nil
	}
	return t, nil
}
