package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"deltaup/mkimage/squashfs"
)

var (
	// ErrKind is wrapped when an input is neither a folder, a tar archive nor a squashfs image.
	ErrKind = errors.New("neither a folder, a tar archive (plain, gzip, zstd or xz) nor a squashfs image")
	// ErrMalformed is wrapped by every error about a tree that contradicts itself or its
	// format: a truncated archive, a name that climbs out of the root, a link to nothing.
	ErrMalformed = errors.New("malformed tree")
)

// Options apply to every kind of input.
type Options struct {
	Filter  Filter
	Owner   *Owner    // owner of all entries; nil: as the input says
	Clamp   *uint32   // later modification times become this (SOURCE_DATE_EPOCH); nil: as the input says
	TempDir string    // for archives that must be unpacked to be read; "": the system's
	Stdin   io.Reader // what Open reads for the path "-"
}

// Owner is a numeric user and group.
type Owner struct{ UID, GID uint32 }

// ParseOwner reads an owner as "UID:GID", both decimal: names are those of one machine.
func ParseOwner(s string) (Owner, error) {
	user, group, _ := strings.Cut(s, ":")
	uid, err := strconv.ParseUint(user, 10, 32)
	gid, err2 := strconv.ParseUint(group, 10, 32)
	if err != nil || err2 != nil {
		return Owner{}, fmt.Errorf("owner %q: want UID:GID, both numbers, such as 0:0", s)
	}
	return Owner{uint32(uid), uint32(gid)}, nil
}

// Open reads the tree at path, whatever it is: a folder, a tar archive or a
// squashfs image, told apart by their first bytes and not by their name. What is none of them may hold an image further in,
// as a disk does in a partition. "-" is a tar archive on Options.Stdin.
func Open(ctx context.Context, path string, o Options) (Tree, error) {
	if path == "-" {
		if o.Stdin == nil {
			return nil, errors.New("read tar archive: there is no standard input")
		}
		return FromTar(ctx, o.Stdin, o)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return FromFolder(ctx, path, o)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := openFile(ctx, f, info.Mode(), o)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &owning{t, f}, nil
}

// openFile reads an archive or an image.
func openFile(ctx context.Context, f *os.File, mode os.FileMode, o Options) (Tree, error) {
	if mode.IsRegular() || mode.Type() == os.ModeDevice { // block devices; a pipe has no image and cannot be looked at twice
		kind, err := sniff(io.NewSectionReader(f, 0, sniffLen))
		if kind == kindImage || (errors.Is(err, ErrKind) || kind == kindTar && startsEmpty(f)) && holdsImage(f) {
			return FromImage(ctx, f, o)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return FromTar(ctx, f, o)
}

// startsEmpty tells whether a file begins with zeros: an archive of nothing, or a medium on which something begins later.
func startsEmpty(f *os.File) bool {
	var head [blockSize]byte
	_, err := f.ReadAt(head[:], 0)
	return err == nil && head == [blockSize]byte{}
}

// holdsImage tells whether an image begins somewhere in a file that begins otherwise.
func holdsImage(f *os.File) bool {
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = squashfs.Find(f, size)
	}
	_, seekErr := f.Seek(0, io.SeekStart) // where an archive is read from
	return err == nil && seekErr == nil
}

// owning is a tree whose file nobody else closes.
type owning struct {
	Tree
	f *os.File
}

func (t *owning) Close() error { return errors.Join(t.Tree.Close(), t.f.Close()) }

// kind is what a file is by its first bytes.
type kind int

const (
	kindTar kind = iota + 1
	kindGzip
	kindZstd
	kindXZ
	kindImage
)

// sniffLen is how many bytes tell the kind: a tar archive's first header.
const sniffLen = blockSize

// sniff reads up to sniffLen bytes.
func sniff(r io.Reader) (kind, error) {
	head, err := io.ReadAll(io.LimitReader(r, sniffLen))
	if err != nil {
		return 0, err
	}
	switch {
	case len(head) == 0:
		return 0, fmt.Errorf("%w: it is empty", ErrMalformed)
	case bytes.HasPrefix(head, []byte("hsqs")), bytes.HasPrefix(head, []byte("sqsh")):
		return kindImage, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return kindGzip, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippableFrame(head):
		return kindZstd, nil
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return kindXZ, nil
	case len(head) == blockSize && isTarHeader(head):
		return kindTar, nil
	}
	return 0, ErrKind
}

// isSkippableFrame reports whether a zstd skippable frame starts here: pzstd puts some first.
func isSkippableFrame(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

// isTarHeader reports whether block may be the first of an archive: its
// checksum is right, or it is the zeros at an archive's end.
func isTarHeader(block []byte) bool {
	_, err := tar.NewReader(bytes.NewReader(block)).Next()
	return !errors.Is(err, tar.ErrHeader)
}
