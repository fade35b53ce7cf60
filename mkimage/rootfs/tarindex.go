package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// tarIndex builds a tree from the headers of an archive, one after another.
type tarIndex struct {
	*collection
	archive *io.SectionReader
	root    *tarName
	groups  uint32
	pending []pendingLink
	listed  int    // number of headers that describe a file
	latest  string // name in the last header
	globals paxGlobals

	layered bool  // the archives are layers, whose marks remove files
	layer   int32 // that is read

	// lastDir is the folder that walk found last, for lastPath; nil when another folder may be
	// there now.
	lastDir  *tarName
	lastPath string
	steps    int // steps of walk so far, at most stepsMax

	cut    tally // symbolic links that a folder has replaced
	buried tally // folders that were not empty and that something else has replaced
}

func newTarIndex(c *collection, archive *io.SectionReader) *tarIndex {
	return &tarIndex{
		collection: c,
		archive:    archive,
		root:       &tarName{file: &tarFile{Entry: c.implied()}},
	}
}

// readAll reads the archive, and with Options.IgnoreZeros those behind it, and fills the
// collection.
func (x *tarIndex) readAll(ctx context.Context) error {
	for start, more := int64(0), true; more; {
		end, err := x.readOne(ctx, start)
		if err != nil {
			return err
		}
		if start, more, err = x.nextArchive(ctx, end); err != nil {
			return err
		}
	}
	if x.listed == 0 && !x.options.Empty {
		return fmt.Errorf("%w: the archive is empty", ErrMalformed)
	}
	x.settle()
	return x.finishNames()
}

// finishNames fills the collection from the names.
func (x *tarIndex) finishNames() error {
	if err := x.collect(); err != nil {
		return err
	}
	x.notes = x.globals.ignored.warn(x.notes, "pax headers for the whole archive not heeded")
	x.notes = x.cut.warn(
		x.notes,
		"symbolic links replaced by folders of the archive, so that what lies behind them is cut off"+
			" (as GNU tar does; --keep-directory-symlink keeps the links)",
	)
	x.notes = x.buried.warn(x.notes,
		"folders replaced by other files of the archive, with all in them (GNU tar would refuse)")
	return nil
}

// readOne reads the archive that begins at start. It gives the offset of the zeros at its end.
func (x *tarIndex) readOne(ctx context.Context, start int64) (end int64, err error) {
	cur := newCursor(x.archive)
	cur.pos = start
	tr := tar.NewReader(cur)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		cur.mark()
		h, err := tr.Next()
		if err != nil && cur.atEnd() {
			return cur.header, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // cleanName checks names
			return 0, x.brokenOff(err, cur.pos)
		}
		if err := x.apply(h, cur); err != nil {
			return 0, err
		}
	}
}

// gapMax is how many zeros behind an archive nextArchive skips to find another archive for a
// warning. tar pads archives with up to 10 KiB.
const gapMax = 1 << 20

// nextArchive looks for another archive behind the zeros at end. As in GNU tar, readAll reads it
// with Options.IgnoreZeros only; else it is a warning.
func (x *tarIndex) nextArchive(ctx context.Context, end int64) (start int64, more bool, err error) {
	buf := make([]byte, 64<<10)
	for at := end; at < end+gapMax || x.options.IgnoreZeros && at < spoolMax; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		n, err := x.archive.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, false, err
		}
		for i := 0; i < n; i += blockSize {
			block := buf[i:min(i+blockSize, n)]
			if isZero(block) {
				continue
			}
			at := at + int64(i)
			if x.options.IgnoreZeros {
				return at, true, nil
			}
			if len(block) == blockSize && isTarHeader(block) {
				x.notes = append(
					x.notes,
					fmt.Sprintf("another archive, which begins at byte %d, left out"+
						" (as GNU tar does; --ignore-zeros reads it too)", at),
				)
			}
			return 0, false, nil
		}
		if n < len(buf) {
			break
		}
	}
	return 0, false, nil
}

// isZero reports whether b is all zeros.
func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// brokenOff makes the error for an archive whose next header, at pos, cannot be read.
func (x *tarIndex) brokenOff(err error, pos int64) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		after := "at its very beginning"
		if x.listed > 0 {
			after = "in or after " + show(x.latest)
		}
		return fmt.Errorf("%w: the archive is truncated: it breaks off %s", ErrMalformed, after)
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("%w: no valid header before byte %d: %w", ErrMalformed, pos, err)
	}
	return err
}

// apply applies one header to the tree.
func (x *tarIndex) apply(h *tar.Header, cur *cursor) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return x.globals.merge(h)
	case 'V': // GNU: label of the volume
		return nil
	}
	x.listed++
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	x.latest = name
	if err := x.checkClimb(h.Name); err != nil && x.keeps(name) {
		return err
	}
	mark := false
	if x.layered {
		mark, err = x.hide(name)
	}
	if !mark {
		err = x.enter(h, name, cur)
	}
	if err != nil && (x.keeps(name) || !errors.Is(err, ErrMalformed)) {
		return err
	}
	return nil
}

// enter puts the file of a header in its place.
func (x *tarIndex) enter(h *tar.Header, name string, cur *cursor) error {
	if h.Typeflag == tar.TypeLink {
		return x.placeLink(name, h.Linkname)
	}
	f := &tarFile{}
	if err := x.convert(f, h, name); errors.Is(err, ErrTooLarge) {
		return err
	} else if err != nil {
		f.fault = err // no error if the entry is left out or replaced
	}
	if f.Type == tree.Regular {
		f.Size, f.handle = h.Size, cur.pos
		if isSparse(h) {
			f.handle = ^cur.header
		}
		if f.Size > sizeMax && x.keeps(name) { // fail before unpacking all of it
			return tooLong(name, f.Size)
		}
	}
	return x.place(name, f)
}

// cleanName makes a path of the tree from a name in the archive.
func cleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == "." {
		return "", nil
	}
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%w: the name %s climbs out of the root", ErrMalformed, show(name))
	}
	return strings.Clone(clean), nil // do not keep the whole pax header in memory
}

// convert reads a header's attributes into f, without the place of the content.
func (x *tarIndex) convert(f *tarFile, h *tar.Header, name string) error {
	x.globals.apply(h)
	var err error
	if f.Type, err = fileType(h, name); err != nil {
		return err
	}
	switch f.Type {
	case tree.Symlink:
		f.Target = strings.Clone(h.Linkname)
	case tree.CharDevice, tree.BlockDevice:
		if h.Devmajor < 0 || h.Devmajor > squashfs.MajorMax || h.Devminor < 0 ||
			h.Devminor > squashfs.MinorMax {
			return fmt.Errorf("%w: device %s has number %d:%d, an image holds up to %d:%d",
				ErrMalformed, show(name), h.Devmajor, h.Devminor, squashfs.MajorMax,
				squashfs.MinorMax)
		}
		f.Major, f.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	f.Mode = uint16(h.Mode & 0o7777)
	x.setTime(&f.Entry, &f.data, h.ModTime.Unix())
	uid, gid := int64(h.Uid), int64(h.Gid)
	if uid < 0 || uid > math.MaxUint32 || gid < 0 || gid > math.MaxUint32 {
		return fmt.Errorf("%w: %s has the owner %d:%d", ErrMalformed, show(name), uid, gid)
	}
	f.UID, f.GID = uint32(uid), uint32(gid)
	set, err := paxXattrs(h.PAXRecords)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, show(name), err)
	}
	return x.setXattrs(&f.Entry, &f.data, set)
}

// checkClimb refuses a name that goes up from a symbolic link, since such a name does not mean what
// its text says.
func (x *tarIndex) checkClimb(name string) error {
	if !strings.Contains(name, "/..") {
		return nil
	}
	if len(name) > pathMax {
		return tooLongPath(name)
	}
	at := ""
	for base := range strings.SplitSeq(name, "/") {
		switch base {
		case "", ".":
		case "..":
			if f := x.find(at); f != nil && f.Type == tree.Symlink {
				return fmt.Errorf("%w: the name %s goes up from the symbolic link %s", ErrMalformed,
					show(name), show(at))
			}
			at = parentOf(at)
		default:
			at = joinPath(at, base)
		}
	}
	return nil
}

// fileType gives the type of the file that a header describes.
func fileType(h *tar.Header, name string) (tree.Type, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		if strings.HasSuffix(h.Name, "/") { // old archives, and some new ones, mark folders so
			return tree.Directory, nil
		}
		return tree.Regular, nil
	case tar.TypeDir, 'D': // GNU: a folder with a listing, in incremental dumps
		return tree.Directory, nil
	case tar.TypeSymlink:
		return tree.Symlink, nil
	case tar.TypeFifo:
		return tree.FIFO, nil
	case tar.TypeChar:
		return tree.CharDevice, nil
	case tar.TypeBlock:
		return tree.BlockDevice, nil
	}
	return tree.Regular, fmt.Errorf("%w: %s is of type %q, which means nothing here",
		ErrMalformed, show(name), h.Typeflag)
}
