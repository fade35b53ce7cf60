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

// FromTar reads the tree in a tar archive of any format that archive/tar knows (v7, ustar, pax,
// GNU, with sparse files), plain or compressed with gzip, zstd or xz. It needs no privileges and
// keeps all attributes. Owners are numbers; names of users mean nothing. Like tar it ignores what
// follows the end of the archive, unless Options.IgnoreZeros is set. Another archive there is a
// warning.
//
// When r is plain and implements io.ReaderAt and io.Seeker, like a file, the tree reads contents
// from r. r must then stay open until the tree is closed, which does not close r. FromTar unpacks
// anything else to a file without a name in the system's folder for temporary files.
//
// The tree is the one that GNU tar makes when it unpacks the archive, entry by entry, into an empty
// folder as its root:
//
//   - Of several entries with one name the last counts. A folder that is listed again gets the new
//     attributes and keeps its content.
//   - A name behind a symbolic link goes where the link leads at this point of the archive. That
//     must be a folder in the tree.
//   - A folder replaces a symbolic link with its name (a warning), unless the link leads to a
//     folder and Options.KeepDirectorySymlink is set.
//   - A hard link gets the file that its target is at this point of the archive.
//   - Global pax records apply to times, owners and extended attributes.
//
// Where tar refuses an entry and goes on, FromTar fails, with three exceptions: a hard link whose
// target comes later, another file in the place of a folder that is not empty, which it removes (a
// warning), and names that go up by ".." and stay in the tree.
//
// Folders that are not listed, also the root, are owned by root and have the mode 0755 and the time
// Options.Clamp, or 0.
func FromTar(ctx context.Context, r io.Reader, o Options) (tree.Tree, error) {
	t, err := fromTar(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("read tar archive %s: %w", nameOf(r), err)
	}
	return t, nil
}

// nameOf is the name of a reader in messages.
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
	s, err := newSpool(ctx, r, o.tempDir)
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

// section gives the rest of r from its position on, which stays the same. It gives false when r
// cannot seek, such as an os.File that is a pipe.
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

// indexTar reads all headers of a plain archive and gives the tree.
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
	t.open = openIn(archive)
	return t, nil
}

// openIn gives what opens the contents of a tree in an archive.
func openIn(archive *io.SectionReader) func(*tree.Entry, int64) (io.ReadCloser, error) {
	return func(e *tree.Entry, handle int64) (io.ReadCloser, error) {
		if start, sparse := sparseHandle(handle); sparse {
			r, err := openSparse(archive, start, e.Size)
			return io.NopCloser(r), err
		}
		return openPart{io.NewSectionReader(archive, handle, e.Size)}, nil
	}
}

// sparseHandle decodes data.handle of a regular file: the offset of its bytes in the archive, or
// the complement of the offset of its first header if it is sparse and so not one run of bytes.
func sparseHandle(handle int64) (start int64, sparse bool) { return ^handle, handle < 0 }

// openSparse reads a sparse file by reading its headers again.
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
