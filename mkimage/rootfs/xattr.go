package rootfs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/tree"

	"golang.org/x/sys/unix"
)

// xattrSet collects the extended attributes of one file.
type xattrSet struct {
	kept    []tree.Xattr
	dropped int
}

// add adds an attribute if an image can hold it, else it counts it as dropped.
func (s *xattrSet) add(name, value string) {
	prefix, rest, _ := strings.Cut(name, ".")
	switch prefix {
	case "user", "trusted", "security":
	default:
		s.dropped++
		return
	}
	if rest == "" {
		s.dropped++
		return
	}
	s.kept = append(s.kept, tree.Xattr{Name: name, Value: []byte(value)})
}

// setXattrs sets the extended attributes of an entry, sorted by name. Of two with one name the
// first stays.
func (c *collection) setXattrs(e *tree.Entry, d *data, s xattrSet) (err error) {
	slices.SortStableFunc(s.kept,
		func(a, b tree.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	s.kept = slices.CompactFunc(s.kept, func(a, b tree.Xattr) bool { return a.Name == b.Name })
	d.droppedXattrs = uint16(min(s.dropped, 1<<16-1))
	e.Xattrs, err = c.intern(s.kept)
	return err
}

// xattrReader reads extended attributes of files. It is not safe for concurrent use.
type xattrReader struct{ names, value []byte }

func newXattrReader() *xattrReader {
	// The kernel gives no more for either.
	return &xattrReader{names: make([]byte, xattrMax), value: make([]byte, xattrMax)}
}

// read reads the attributes of the file at path. It does not follow symbolic links.
func (x *xattrReader) read(path string) (xattrSet, error) {
	var set xattrSet
	n, err := unix.Llistxattr(path, x.names)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return set, nil
	}
	if err != nil {
		return set, fmt.Errorf("list extended attributes of %q: %w", path, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(x.names[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, name, x.value)
		if errors.Is(err, unix.ENODATA) {
			continue // it was removed meanwhile, or the listing has too many names
		}
		if err != nil {
			return set, fmt.Errorf("read extended attribute %q of %q: %w", name, path, err)
		}
		set.add(name, string(x.value[:n]))
	}
	return set, nil
}
