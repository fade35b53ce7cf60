package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"deltaup/mkimage/squashfs"
)

// tarIndex applies the headers of an archive one after another.
type tarIndex struct {
	*collection
	names   map[string]int // path -> index of the latest entry of that name
	removed map[string]int // path of a folder -> index of the other file that took its place
	pending []int          // hard links whose target was not there yet: Type 0, Link as in the header
	groups  uint32
	listed  int // headers that describe a file

	global tally // pax headers for all entries, which are not heeded
}

func newTarIndex(c *collection) *tarIndex {
	return &tarIndex{collection: c, names: make(map[string]int), removed: make(map[string]int)}
}

// readAll reads the archive to its end and completes the collection.
func (x *tarIndex) readAll(ctx context.Context, archive *io.SectionReader) error {
	x.implyFolder("")
	cur := newCursor(archive)
	tr := tar.NewReader(cur)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		cur.mark()
		h, err := tr.Next()
		if err == io.EOF && cur.atEnd() {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are checked here
			return x.brokenOff(err, cur.pos)
		}
		if err := x.apply(h, cur, archive); err != nil {
			return err
		}
	}
	if x.listed == 0 {
		return fmt.Errorf("%w: the archive is empty", ErrMalformed)
	}
	if err := x.resolve(); err != nil {
		return err
	}
	x.dropReplaced()
	x.notes = x.global.warn(x.notes, "pax headers for the whole archive not heeded")
	return nil
}

// brokenOff explains why no further header can be read.
func (x *tarIndex) brokenOff(err error, pos int64) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		after := "at its very beginning"
		if n := len(x.entries); x.listed > 0 {
			after = "in or after " + show(x.entries[n-1].Path)
		}
		return fmt.Errorf("%w: the archive is truncated: it breaks off %s", ErrMalformed, after)
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("%w: no valid header before byte %d: %w", ErrMalformed, pos, err)
	}
	return err
}

// apply takes over what one header says.
func (x *tarIndex) apply(h *tar.Header, cur *cursor, archive *io.SectionReader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		for key := range h.PAXRecords {
			if key != "comment" { // git archive's
				x.global.add(1, h.Name)
				break
			}
		}
		return nil
	case 'V': // GNU: the volume's label
		return nil
	}
	x.listed++
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return x.putLink(name, h.Linkname)
	}
	e, d, err := x.convert(h, name)
	if err != nil {
		return err
	}
	if e.Type == squashfs.Regular {
		e.Size, d.handle = h.Size, cur.pos
		if isSparse(h) {
			d.handle = ^cur.header
			if _, err := openSparse(archive, cur.header, h.Size); err != nil {
				return fmt.Errorf("read sparse file %s: %w", show(name), err)
			}
		}
	}
	return x.put(e, d)
}

// cleanName makes a name of the archive a path of a tree.
func cleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == "." {
		return "", nil
	}
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%w: the name %s climbs out of the root", ErrMalformed, show(name))
	}
	return strings.Clone(clean), checkPath(clean) // not to keep the whole pax header in memory
}

// convert reads a header's attributes, but not where the content is.
func (x *tarIndex) convert(h *tar.Header, name string) (e Entry, d data, err error) {
	e.Path = name
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Type = squashfs.Regular
		if strings.HasSuffix(h.Name, "/") { // how old archives, and some new ones, write folders
			e.Type = squashfs.Directory
		}
	case tar.TypeDir, 'D': // GNU: a folder with a listing, of incremental dumps
		e.Type = squashfs.Directory
	case tar.TypeSymlink:
		e.Type, e.Target = squashfs.Symlink, strings.Clone(h.Linkname)
	case tar.TypeFifo:
		e.Type = squashfs.FIFO
	case tar.TypeChar, tar.TypeBlock:
		e.Type = squashfs.CharDevice
		if h.Typeflag == tar.TypeBlock {
			e.Type = squashfs.BlockDevice
		}
		if h.Devmajor < 0 || h.Devmajor > squashfs.MajorMax || h.Devminor < 0 || h.Devminor > squashfs.MinorMax {
			return e, d, fmt.Errorf("%w: device %s has number %d:%d, an image holds up to %d:%d",
				ErrMalformed, show(name), h.Devmajor, h.Devminor, squashfs.MajorMax, squashfs.MinorMax)
		}
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	default:
		return e, d, fmt.Errorf("%w: %s is of type %q, which means nothing here", ErrMalformed, show(name), h.Typeflag)
	}
	uid, gid := int64(h.Uid), int64(h.Gid)
	if uid < 0 || uid > math.MaxUint32 || gid < 0 || gid > math.MaxUint32 {
		return e, d, fmt.Errorf("%w: %s has the owner %d:%d", ErrMalformed, show(name), uid, gid)
	}
	e.Mode, e.UID, e.GID = uint16(h.Mode&0o7777), uint32(uid), uint32(gid)
	x.setTime(&e, &d, h.ModTime.Unix())
	set, err := paxXattrs(h.PAXRecords)
	if err != nil {
		return e, d, fmt.Errorf("%w: %s: %w", ErrMalformed, show(name), err)
	}
	set.store(&e, &d)
	return e, d, nil
}

// lookup finds the entry that the name stands for now.
func (x *tarIndex) lookup(name string) (int, bool) {
	i, ok := x.names[name]
	if !ok || len(x.removed) == 0 {
		return i, ok
	}
	for dir := name; dir != ""; {
		dir = parentOf(dir)
		if at, ok := x.removed[dir]; ok && at > i {
			return 0, false
		}
	}
	return i, true
}

// put enters a file that is no hard link.
func (x *tarIndex) put(e Entry, d data) error {
	if i, ok := x.lookup(e.Path); ok && x.entries[i].Type == squashfs.Directory {
		if e.Type == squashfs.Directory {
			x.entries[i], x.data[i] = e, d
			return checkEntry(&e)
		}
		if e.Path == "" {
			return fmt.Errorf("%w: the root is no folder", ErrMalformed)
		}
		x.removed[e.Path] = len(x.entries)
	}
	if err := x.implyParents(e.Path); err != nil {
		return err
	}
	x.names[e.Path] = len(x.entries)
	return x.add(e, d)
}

// implyParents makes the folders above a path that are not there.
func (x *tarIndex) implyParents(name string) error {
	var missing []string
	for dir := parentOf(name); ; dir = parentOf(dir) {
		i, ok := x.lookup(dir)
		if ok && x.entries[i].Type != squashfs.Directory {
			return fmt.Errorf("%w: %s lies below %s, which is no folder", ErrMalformed, show(name), show(dir))
		}
		if ok {
			break
		}
		missing = append(missing, dir)
	}
	for _, dir := range missing {
		x.implyFolder(dir)
	}
	return nil
}

func (x *tarIndex) implyFolder(name string) {
	x.names[name] = len(x.entries)
	x.entries = append(x.entries, x.implied(name))
	x.data = append(x.data, data{})
}

// dropReplaced removes the entries that a later one took the place of.
func (x *tarIndex) dropReplaced() {
	n := 0
	for i := range x.entries {
		if now, ok := x.lookup(x.entries[i].Path); ok && now == i {
			x.entries[n], x.data[n] = x.entries[i], x.data[i]
			n++
		}
	}
	clear(x.entries[n:])
	x.entries, x.data = x.entries[:n], x.data[:n]
	x.names, x.removed = nil, nil
}
