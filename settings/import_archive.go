package settings

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"deltaup/internal/plainfile"
	"deltaup/settings/tarball"
)

// archiveImport is a tar archive, plain or compressed by gzip.
type archiveImport struct{ file string }

func (a *archiveImport) walk(ctx context.Context, fn func(*item) error) error {
	if strings.HasSuffix(a.file, ".bfe") {
		return ErrEncrypted // what bcrypt makes begins with no magic
	}
	f, err := plainfile.Open(a.file)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	return readArchive(ctx, f, fn)
}

// readArchive calls fn for each entry of an archive.
func readArchive(ctx context.Context, r io.Reader, fn func(*item) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(8) // a short one is no archive
	plain := io.Reader(b)
	switch {
	case string(head) == "Salted__": // what openssl enc writes
		return ErrEncrypted
	case strings.HasPrefix(string(head), "\x1f\x8b"):
		z, err := gzip.NewReader(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNoArchive, err)
		}
		z.Multistream(false) // what follows the archive is not its own
		plain = z
	}
	limited := &io.LimitedReader{R: plain, N: maxImported}
	archive := tarball.NewReader(limited)
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := archive.Next()
		switch {
		case err == io.EOF && !first:
			_, err := io.Copy(io.Discard, limited) // up to the checksum
			return damagedArchive(err)
		case limited.N == 0:
			return fmt.Errorf("%w: it unpacks to more than %d bytes", ErrTooMuch, maxImported)
		case first && (err == io.EOF || errors.Is(err, tarball.ErrFormat)):
			return ErrNoArchive
		case err != nil:
			return damagedArchive(err)
		}
		if err := fn(archiveItem(e, archive)); err != nil {
			return damagedArchive(err)
		}
	}
}

// damagedArchive wraps tarball.ErrFormat when gzip has found damage.
func damagedArchive(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %w", tarball.ErrFormat, err)
	}
	return err
}

func archiveItem(e *tarball.Entry, content io.Reader) *item {
	i := &item{name: e.Name, entry: Entry{UID: e.UID, GID: e.GID}, content: content}
	switch e.Type {
	case tarball.File:
		i.entry.Kind, i.entry.Mode, i.entry.Size = File, e.Mode, e.Size
	case tarball.Folder:
		i.entry.Kind, i.entry.Mode = Folder, e.Mode
	case tarball.Link:
		i.entry.Kind, i.entry.Target = Link, e.Target
		if e.Target == "" || len(e.Target) >= maxPath || strings.IndexByte(e.Target, 0) >= 0 {
			i.refused = "the target of a link is wrong"
		}
	case tarball.Hard:
		i.refused = "it is a hard link"
	default:
		i.refused = "it is neither a file, a folder nor a link"
	}
	if i.entry.Kind != File && i.entry.Kind != Folder {
		return i
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		if validXattr(name) {
			i.entry.Xattrs = append(i.entry.Xattrs, Xattr{name, e.Xattrs[name]})
			size += len(name) + len(e.Xattrs[name])
		}
	}
	if size > maxXattr {
		i.refused = "its attributes are too large"
	}
	return i
}
