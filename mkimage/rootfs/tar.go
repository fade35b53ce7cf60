package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"deltaup/mkimage/tree"
)

// FromTar reads the tree that a tar archive holds, in any of the formats that archive/tar
// knows (v7, ustar, pax, GNU, sparse files included), plain or compressed with gzip,
// zstd or xz. It needs no privileges and keeps all attributes; owners by number, names of users
// mean nothing. What follows the end of the archive is ignored, as by tar itself, unless
// Options.IgnoreZeros is set; another archive there is a warning.
//
// When r is plain and implements io.ReaderAt and io.Seeker (a file), contents are later
// read in place, and r must stay open until the tree is closed, which does not close it.
// All else is first spooled, decompressed, to a file without a name in Options.TempDir.
//
// The tree is what GNU tar makes of the archive in an empty folder that it takes for the root, in
// order:
//
//   - Of a name that comes twice the last wins. A folder listed again has its attributes updated and keeps what is in it.
//   - What lies behind a symbolic link goes where the link leads, at this point of the archive. That
//     must be a folder inside the tree.
//   - A folder takes a symbolic link's place (a warning), unless Options.KeepDirectorySymlink is set and the
//     link leads to a folder.
//   - A hard link gets the file that its target is at this point of the archive.
//   - Pax records for the whole archive hold for times, owners and extended attributes.
//
// Where tar refuses an entry and goes on, FromTar fails, but for three cases that it completes: a
// hard link whose target comes later; another file in place of a folder with something in it, which
// all goes (a warning); and names that go up by ".." and stay in the tree.
//
// Folders that are not listed, the root among them, are root's with mode 0755 and Options.Clamp
// or 0 as time.
func FromTar(ctx context.Context, r io.Reader, o Options) (tree.Tree, error) {
	t, err := fromTar(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("read tar archive %s: %w", nameOf(r), err)
	}
	return t, nil
}

// nameOf is what messages call a reader.
func nameOf(r io.Reader) string {
	if named, ok := r.(interface{ Name() string }); ok {
		return named.Name()
	}
	return "(stream)"
}

func fromTar(ctx context.Context, r io.Reader, o Options) (*finished, error) {
	if archive, ok := section(r); ok {
		kind, err := sniff(io.NewSectionReader(archive, 0, sniffLen))
		if err != nil {
			return nil, err
		}
		if kind.archive() {
			return indexTar(ctx, archive, nameOf(r), o)
		}
	}
	s, err := newSpool(ctx, r, o.TempDir)
	if err != nil {
		return nil, err
	}
	t, err := indexTar(ctx, io.NewSectionReader(s, 0, spoolMax), nameOf(r), o)
	if err == nil {
		err = s.drain()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	t.close = s.Close
	return t, nil
}

// section is the rest of r from where it stands; false when r cannot seek, as a
// pipe cannot, although it is an os.File. R stays where it stands.
func section(r io.Reader) (*io.SectionReader, bool) {
	ra, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	})
	if !ok {
		return nil, false
	}
	start, err := ra.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false
	}
	end, err := ra.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false
	}
	if _, err := ra.Seek(start, io.SeekStart); err != nil {
		return nil, false
	}
	return io.NewSectionReader(ra, start, max(end-start, 0)), true
}

// indexTar reads all headers of a plain archive.
func indexTar(ctx context.Context, archive *io.SectionReader, name string,
	o Options) (*finished, error) {
	c, err := newCollection(o)
	if err != nil {
		return nil, err
	}
	if err := newTarIndex(c, archive).readAll(ctx); err != nil {
		return nil, err
	}
	t, err := c.finish(name)
	if err != nil {
		return nil, err
	}
	t.open = func(e *tree.Entry, handle int64) (io.ReadCloser, error) {
		if start, sparse := sparseHandle(handle); sparse {
			r, err := openSparse(archive, start, e.Size)
			return io.NopCloser(r), err
		}
		return io.NopCloser(io.NewSectionReader(archive, handle, e.Size)), nil
	}
	return t, nil
}

// The handle of a regular file is the offset of its bytes in the archive. A sparse file's
// bytes are not one run: its handle is the complement of the offset of its first header.
func sparseHandle(handle int64) (start int64, sparse bool) { return ^handle, handle < 0 }

// openSparse reads a sparse file by going through its headers once more.
func openSparse(archive *io.SectionReader, start, size int64) (io.Reader, error) {
	tr := tar.NewReader(io.NewSectionReader(archive, start, archive.Size()-start))
	h, err := tr.Next()
	if err == nil && (!isSparse(h) || h.Size != size) {
		err = fmt.Errorf("%w: not the sparse file that was there", ErrMalformed)
	}
	return tr, err
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
