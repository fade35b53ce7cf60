package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

var (
	// ErrKind is wrapped when an input is neither a folder, a tar archive nor a squashfs image.
	ErrKind = errors.New(
		"neither a folder, a tar archive (plain, gzip, zstd or xz) nor a squashfs image",
	)
	// ErrMalformed is wrapped by every error about an input that contradicts itself or its format:
	// a truncated archive, a name that climbs out of the root, a link to nothing.
	ErrMalformed = errors.New("malformed tree")
	// ErrOffset is wrapped when Options.Offset is set for an input without an offset.
	ErrOffset = errors.New("only an image in a file or on a block device has an offset")
)

// Options apply to every kind of input.
type Options struct {
	Filter Filter
	Owner  *Owner // owner of all entries; nil: as the input says
	// Clamp replaces later modification times (SOURCE_DATE_EPOCH); nil: as the input says.
	Clamp   *uint32
	tempDir string    // folder for unpacked archives; "": the system's
	Stdin   io.Reader // what Open reads for the path "-"

	// Offset is the offset of the image in the file, in bytes; 0: Open finds the image.
	Offset int64
	// Subdir is the path of a folder in the input that becomes the root; "": the input's root.
	// Symbolic links in the path lead through the input. Nothing outside of the folder is read.
	Subdir string
	// OneFileSystem leaves out other file systems mounted in a folder. Their mount points become
	// empty folders.
	OneFileSystem bool
	// Outputs are files that the caller writes. They, and temporary files of writing them, are left
	// out of a folder, whatever their names in it are.
	Outputs []string
	// KeepDirectorySymlink keeps a symbolic link to a folder when the archive has a folder with its
	// name. Otherwise the folder replaces the link. GNU tar has the same option.
	KeepDirectorySymlink bool
	// IgnoreZeros reads on behind the end of an archive, like GNU tar's option, so that several
	// archives one after another are read as one.
	IgnoreZeros bool
	// Empty permits an archive that lists nothing.
	Empty bool
	// ContainerFiles takes the files of a container image, and the marks of a layer, for files of
	// the tree. Without it they are an error that wraps ErrContainer.
	ContainerFiles bool
}

// Owner is a numeric user and group.
type Owner struct{ uid, gid uint32 }

// ParseOwner reads an owner as "UID:GID", both decimal. It takes no names, whose meaning differs
// between machines.
func ParseOwner(s string) (Owner, error) {
	user, group, _ := strings.Cut(s, ":")
	uid, err := strconv.ParseUint(user, 10, 32)
	gid, err2 := strconv.ParseUint(group, 10, 32)
	if err != nil || err2 != nil {
		return Owner{}, fmt.Errorf("owner %q: want UID:GID, both numbers, such as 0:0", s)
	}
	return Owner{uint32(uid), uint32(gid)}, nil
}

// Open reads the tree at path: a folder, a tar archive or a squashfs image. It tells these apart by
// their first bytes, not by their names. In another file it looks for an image further in, such as
// in a partition of a disk; several images are an error that wraps squashfs.ErrSeveral unless
// Options.Offset says which one. "-" is a tar archive on Options.Stdin. Errors wrap ErrKind,
// ErrMalformed, ErrOffset, ErrTooLarge, ErrContainer or squashfs's, or are those of the system.
func Open(ctx context.Context, path string, o Options) (tree.Tree, error) {
	if path == "-" {
		if o.Offset > 0 {
			return nil, ErrOffset
		}
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
		if o.Offset > 0 {
			return nil, fmt.Errorf("%s: %w", path, ErrOffset)
		}
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
func openFile(ctx context.Context, f *os.File, mode os.FileMode, o Options) (tree.Tree, error) {
	// Only files and block devices can hold an image: a pipe cannot be read twice.
	if !mode.IsRegular() && mode.Type() != os.ModeDevice {
		if o.Offset > 0 {
			return nil, fmt.Errorf("%s: %w", f.Name(), ErrOffset)
		}
		return FromTar(ctx, f, o)
	}
	m, err := imageOf(f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if m == nil {
		return FromTar(ctx, f, o)
	}
	t, err := fromImage(ctx, f.Name(), m, o)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", f.Name(), err)
	}
	return t, nil
}

// imageOf opens the image in a file. It gives nil without an error for an archive. For anything
// else the error wraps ErrKind and says what the file is.
func imageOf(f *os.File, o Options) (*squashfs.Image, error) {
	size, err := f.Seek(0, io.SeekEnd) // Stat does not tell the size of a block device
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil { // an archive is read from here
		return nil, err
	}
	if o.Offset > 0 {
		size -= o.Offset
		return squashfs.Open(io.NewSectionReader(f, o.Offset, size), size)
	}
	kind, err := sniff(io.NewSectionReader(f, 0, sniffLen))
	if kind == kindImage {
		return squashfs.Open(f, size)
	}
	var other *foreignError
	if errors.As(err, &other) && other.fs || kind != kindZeros && !errors.Is(err, ErrKind) {
		return nil, err
	}
	m, searchErr := onlyImage(f, size)
	if m != nil || searchErr != nil {
		return m, searchErr
	}
	// an archive with anything in it may follow zeros
	if kind == kindZeros && o.IgnoreZeros {
		return nil, nil
	}
	if diskErr := foreignDisk(f, size); diskErr != nil {
		return nil, diskErr
	}
	return nil, err
}

// onlyImage opens the only image further in a file. It gives nil when there is none.
func onlyImage(f *os.File, size int64) (*squashfs.Image, error) {
	m, err := squashfs.FindOnly(f, size)
	if errors.Is(err, squashfs.ErrCorrupt) || errors.Is(err, squashfs.ErrUnsupported) {
		return nil, nil
	}
	return m, err
}

// owning is a tree that closes its file.
type owning struct {
	tree.Tree
	f *os.File
}

func (t *owning) Close() error { return errors.Join(t.Tree.Close(), t.f.Close()) }
