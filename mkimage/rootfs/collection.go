package rootfs

import (
	"fmt"
	"io"
	"math"
	"sort"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Limits of entries, from Linux or from the format.
const (
	nameMax   = 255      // bytes of one name
	pathMax   = 4095     // bytes of a path, and of a symbolic link's target
	depthMax  = 1024     // names in a path; only a hostile archive has more
	xattrMax  = 64 << 10 // bytes of one extended attribute's value, and of one file's names
	groupNone = 0
)

// data is what the collection knows about an entry besides the entry itself, until the tree is
// finished and then to open contents.
type data struct {
	handle int64 // where the content is, in terms of the source
	group  uint32
	// What the entry has lost. Warnings count it once it is known which entries stay.
	droppedXattrs uint16
	early, late   bool
	fault         error // why the entry is invalid; an error only if the entry stays
}

// collection collects the entries of a tree, in any order. Entries of one inode have the same
// group, which is not groupNone.
type collection struct {
	budget
	options Options
	filter  *filter
	entries []tree.Entry
	data    []data
	notes   []string // warnings that are not about single entries
}

func newCollection(o Options) (*collection, error) {
	f, err := newFilter(o.Filter)
	if err != nil {
		return nil, err
	}
	o.Subdir = cleanSubdir(o.Subdir)
	return &collection{options: o, filter: f}, nil
}

// add appends an entry. finish checks whether an image can hold it, if it stays.
func (c *collection) add(e tree.Entry, d data) error {
	if e.Type == tree.Symlink {
		e.Mode = 0o777 // Linux knows no other mode; other systems and archives do
	}
	if err := c.take(e.Path, e.Target); err != nil {
		return err
	}
	c.entries = append(c.entries, e)
	c.data = append(c.data, d)
	return nil
}

// setTime sets a modification time from any number of seconds since 1970.
func (c *collection) setTime(e *tree.Entry, d *data, sec int64) {
	if clamp := c.options.Clamp; clamp != nil {
		sec = min(sec, int64(*clamp))
	}
	d.early, d.late = sec < 0, sec > math.MaxUint32
	e.ModTime = uint32(min(max(sec, 0), math.MaxUint32))
}

// implied is the entry of a folder that the input does not describe: of root, 0755, with
// Options.Clamp as its time.
func (c *collection) implied() tree.Entry {
	e := tree.Entry{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}
	if c.options.Clamp != nil {
		e.ModTime = *c.options.Clamp
	}
	return e
}

func checkEntry(e *tree.Entry) error {
	if err := checkPath(e.Path); err != nil {
		return err
	}
	switch e.Type {
	case tree.Symlink:
		if len(e.Target) == 0 || len(e.Target) > pathMax || strings.IndexByte(e.Target, 0) >= 0 {
			return fmt.Errorf(
				"%w: the target of symbolic link %s has %d bytes, 1 to %d without zero bytes are possible",
				ErrMalformed,
				show(e.Path),
				len(e.Target),
				pathMax,
			)
		}
	case tree.BlockDevice, tree.CharDevice:
		if e.Major > squashfs.MajorMax || e.Minor > squashfs.MinorMax {
			return fmt.Errorf("%w: device %s has number %d:%d, an image holds up to %d:%d",
				ErrMalformed, show(e.Path), e.Major, e.Minor, squashfs.MajorMax, squashfs.MinorMax)
		}
	}
	if e.Size < 0 {
		return fmt.Errorf("%w: %s has the size %d", ErrMalformed, show(e.Path), e.Size)
	}
	for _, x := range e.Xattrs {
		if len(x.Name) > nameMax || len(x.Value) > xattrMax {
			return fmt.Errorf("%w: extended attribute %s of %s is longer than Linux permits",
				ErrMalformed, show(x.Name), show(e.Path))
		}
	}
	return nil
}

// checkPath accepts clean relative paths, and "" for the root.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if len(path) > pathMax || strings.Count(path, "/") >= depthMax {
		return tooLongPath(path)
	}
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case name == "", name == ".", name == "..", strings.IndexByte(name, 0) >= 0:
			return fmt.Errorf("%w: %s has the impossible name %q in it", ErrMalformed, show(path),
				name)
		case len(name) > nameMax:
			return fmt.Errorf("%w: a name in %s is too long (%d bytes)", ErrMalformed, show(path),
				len(name))
		}
	}
	return nil
}

func tooLongPath(path string) error {
	return fmt.Errorf("%w: the path %s is too long (%d bytes)", ErrMalformed, show(path), len(path))
}

// show quotes a path for a message, and shortens a long one.
func show(path string) string {
	if len(path) > 200 {
		path = path[:197] + "..."
	}
	return fmt.Sprintf("%q", path)
}

// finish makes a tree of the collected entries. The caller adds open and close.
func (c *collection) finish(name string) (*finished, error) {
	sort.Sort(byPath{c})
	parents, err := c.parents()
	if err != nil {
		return nil, err
	}
	c.leaveOut(parents)
	for i := range c.entries {
		err := c.data[i].fault
		if err == nil {
			err = checkEntry(&c.entries[i])
		}
		if err != nil {
			return nil, err
		}
	}
	c.link()
	if err := checkSize(c.entries); err != nil {
		return nil, err
	}
	if !c.options.ContainerFiles {
		if err := checkContainer(c.entries); err != nil {
			return nil, err
		}
	}
	c.sets = nil
	if o := c.options.Owner; o != nil {
		for i := range c.entries {
			c.entries[i].UID, c.entries[i].GID = o.uid, o.gid
		}
	}
	return &finished{
		name:     name,
		entries:  c.entries,
		data:     c.data,
		warnings: append(c.warnings(), c.notes...),
		open: func(*tree.Entry, int64) (io.ReadCloser, error) {
			return nil, fmt.Errorf("no contents")
		},
		close: func() error { return nil },
	}, nil
}

// byPath sorts entries and their data together.
type byPath struct{ *collection }

func (s byPath) Len() int           { return len(s.entries) }
func (s byPath) Less(i, j int) bool { return tree.Compare(s.entries[i].Path, s.entries[j].Path) < 0 }
func (s byPath) Swap(i, j int) {
	s.entries[i], s.entries[j] = s.entries[j], s.entries[i]
	s.data[i], s.data[j] = s.data[j], s.data[i]
}

// parents gives the index of each entry's folder. It fails when the entries are no tree.
func (c *collection) parents() ([]int32, error) {
	if len(c.entries) == 0 || c.entries[0].Path != "" || c.entries[0].Type != tree.Directory {
		return nil, fmt.Errorf("%w: the root is no folder", ErrMalformed)
	}
	if len(c.entries) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: more than %d entries", ErrMalformed, math.MaxInt32)
	}
	parents := make([]int32, len(c.entries))
	parents[0] = -1
	at := int32(0) // the entry before if it is a folder, else its folder
	for i := 1; i < len(c.entries); i++ {
		path := c.entries[i].Path
		if path == c.entries[i-1].Path {
			return nil, fmt.Errorf("%w: %s is there twice", ErrMalformed, show(path))
		}
		for !below(path, c.entries[at].Path) {
			at = parents[at]
		}
		if parentOf(path) != c.entries[at].Path {
			return nil, fmt.Errorf("%w: %s lies in no folder", ErrMalformed, show(path))
		}
		parents[i] = at
		if c.entries[i].Type == tree.Directory {
			at = int32(i)
		}
	}
	return parents, nil
}

// leaveOut removes the entries that the filter does not keep.
func (c *collection) leaveOut(parents []int32) {
	if len(c.filter.exclude) == 0 {
		return
	}
	verdicts := make([]verdict, len(c.entries))
	keep := make([]bool, len(c.entries))
	keep[0] = true
	for i := 1; i < len(c.entries); i++ {
		verdicts[i] = c.filter.judge(verdicts[parents[i]], c.entries[i].Path)
		if !verdicts[i].keep() {
			continue
		}
		for j := int32(i); !keep[j]; j = parents[j] {
			keep[j] = true
		}
	}
	n := 0
	for i := range c.entries {
		if keep[i] {
			c.entries[n], c.data[n] = c.entries[i], c.data[i]
			n++
		}
	}
	clear(c.entries[n:]) // frees their strings
	c.entries, c.data = c.entries[:n], c.data[:n]
}

// link makes the first entry of each group the file, and the others hard links to it.
func (c *collection) link() {
	first := make(map[uint32]int)
	for i := range c.entries {
		group := c.data[i].group
		if group == groupNone {
			continue
		}
		j, known := first[group]
		if !known {
			first[group] = i
			continue
		}
		path := c.entries[i].Path
		c.entries[i], c.data[i] = c.entries[j], c.data[j]
		c.entries[i].Path, c.entries[i].Link = path, c.entries[j].Path
	}
}
