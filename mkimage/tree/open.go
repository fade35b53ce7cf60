package tree

import (
	"context"
	"errors"
	"io"
	"os"
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

// ParseOwner reads an owner as "UID:GID", both decimal.
func ParseOwner(s string) (Owner, error) { panic("unbuilt") }

// Open reads the tree at path, whatever it is: a folder, a tar archive or a
// squashfs image, told apart by their first bytes and not by their name. "-" is a
// tar archive on Options.Stdin.
func Open(ctx context.Context, path string, o Options) (Tree, error) { panic("unbuilt") }

// FromFolder reads the tree below the folder dir.
func FromFolder(ctx context.Context, dir string, o Options) (Tree, error) { panic("unbuilt") }

// FromTar reads the tree that a tar archive holds.
func FromTar(ctx context.Context, r io.Reader, o Options) (Tree, error) { panic("unbuilt") }

// FromImage reads the tree of a squashfs image, which must stay open until the tree is closed.
func FromImage(ctx context.Context, f *os.File, o Options) (Tree, error) { panic("unbuilt") }

// Filter leaves entries out by name.
type Filter struct{ Exclude, Include []string }

// Compare orders paths as a tree's entries are ordered; the result is as of strings.Compare.
func Compare(a, b string) int { panic("unbuilt") }
