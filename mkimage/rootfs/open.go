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
	// ErrMalformed is wrapped by every error about a tree that contradicts itself or its
	// format: a truncated archive, a name that climbs out of the root, a link to nothing.
	ErrMalformed = errors.New("malformed tree")
	// ErrOffset is wrapped when Options.Offset is set for something that has none.
	ErrOffset = errors.New("only an image in a file or on a block device has an offset")
)

// Options apply to every kind of input.
type Options struct {
	Filter Filter
	Owner  *Owner // owner of all entries; nil: as the input says
	// later modification times become this (SOURCE_DATE_EPOCH); nil: as the input says
	Clamp   *uint32
	TempDir string    // for archives that must be unpacked to be read; "": the system's
	Stdin   io.Reader // what Open reads for the path "-"

	// Offset is the byte of the file where the image begins; 0: where one is found.
	Offset int64
	// Subdir is the folder of the input that is taken as the root, as a path in it; "": all of it.
	// Symbolic links in it lead through the input. What lies outside is not looked at.
	Subdir string
	// OneFileSystem keeps the mount points of other file systems in a folder as empty folders.
	OneFileSystem bool
	// Outputs are files that are left out of a folder, whatever names they have in it, because
	// the caller writes them; temporary files of such writes are left out as well.
	Outputs []string
	// KeepDirectorySymlink lets a symbolic link to a folder stay when an archive has a folder of
	// its name. Otherwise the folder takes its place. As in GNU tar.
	KeepDirectorySymlink bool
	// IgnoreZeros reads on behind the end of an archive, as GNU tar's option of that name: several
	// archives written one after another are read as one.
	IgnoreZeros bool
	// ContainerFiles takes the files of a container image, and the marks of a layer, for
	// files of the tree. Otherwise they are ErrContainer.
	ContainerFiles bool
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

// Open reads the tree at path, whatever it is: a folder, a tar archive or a squashfs image, told
// apart by their first bytes and not by their name. What is none of them may hold an image further
// in, as a disk does in a partition; several are squashfs.ErrSeveral unless Options.Offset says
// which. "-" is a tar archive on Options.Stdin.
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
	// block devices; a pipe has no image and cannot be looked at twice
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

// imageOf opens the image in a file; nil without an error means that it is an archive. What is
// neither is ErrKind, which says what it is.
func imageOf(f *os.File, o Options) (*squashfs.Image, error) {
	size, err := f.Seek(0, io.SeekEnd) // Stat has no size for a block device
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil { // where an archive is read from
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
	// an archive may follow zeros, and hold anything
	if kind == kindZeros && o.IgnoreZeros {
		return nil, nil
	}
	if diskErr := foreignDisk(f, size); diskErr != nil {
		return nil, diskErr
	}
	return nil, err
}

// onlyImage opens the image that begins somewhere in a file that begins otherwise; nil when there
// is none.
func onlyImage(f *os.File, size int64) (*squashfs.Image, error) {
	m, err := squashfs.FindOnly(f, size)
	if errors.Is(err, squashfs.ErrCorrupt) || errors.Is(err, squashfs.ErrUnsupported) {
		return nil, nil
	}
	return m, err
}

// owning is a tree whose file nobody else closes.
type owning struct {
	tree.Tree
	f *os.File
}

func (t *owning) Close() error { return errors.Join(t.Tree.Close(), t.f.Close()) }
