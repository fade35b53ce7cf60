package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
)

// File is a file of a mirror that is open for reading. It reads what the file held when it was
// opened, whoever replaces or removes the file meanwhile.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Entry is a file of a mirror as [Files].List tells of it.
type Entry struct {
	Name string // relative to the mirror
	Size int64
}

// Files reads a mirror's files by their names, which this package gives. A name for which
// [ValidPath] is false is an error that wraps [ErrName].
type Files interface {
	// String is how messages name the mirror.
	String() string
	// Open opens a file. The error for a file that is not there wraps fs.ErrNotExist.
	Open(ctx context.Context, name string) (File, error)
	// List gives the files below a folder, "" for the whole mirror, sorted by name. Hidden files
	// and those in [TmpDir] are left out. A folder that is not there has no files.
	List(ctx context.Context, dir string) ([]Entry, error)
}

// State is what a [Store] has where a mirror is, or is to be.
type State int

const (
	Missing State = iota // nothing is there
	// no files, or those that a publisher has at its very beginning
	Empty
	Unsigned // a mirror, whole or in part
	Signed   // a mirror with signed metadata
)

// Store is where a mirror lies that somebody changes: a folder of this machine, or an object store.
// It has no folders that come and go, and nothing is renamed: a file appears whole under its name,
// and is durable when the call returns.
//
// Whoever changes a mirror holds its lock. A store whose lock can be lost while its holder lives
// makes each change conditional on the lock, and refuses it with [ErrBusy].
//
// The tests have one suite for all stores, package mirrorstore.
type Store interface {
	Files
	// Look tells what is there, and writes nothing. ErrNoMirror is wrapped when it is other things.
	Look(ctx context.Context) (State, error)
	// Lock keeps other publishers out until unlock; it makes what a mirror needs to be locked. With
	// wait nil it gives up with ErrBusy at once, else it calls wait once before it begins to wait.
	Lock(ctx context.Context, wait func()) (unlock func(), err error)
	// Recover removes what a publisher that was cut off has left, and makes durable what it has
	// named. The caller holds the lock.
	Recover(ctx context.Context) error
	// Create begins a file whose name is known only at its end, of any size.
	Create(ctx context.Context) (Draft, error)
	// Write makes a small file hold b, in one step: readers see what was there before, or b.
	Write(ctx context.Context, name string, b []byte) error
	// Remove removes a file. A file that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// Need is Look for those who want a mirror that is there. When none is, [ErrNowhere] is wrapped, as
// by a client; beside it [ErrNoMirror], or fs.ErrNotExist when nothing is there.
func Need(ctx context.Context, s Store) error {
	what, err := s.Look(ctx)
	switch {
	case err != nil:
	case what == Missing:
		err = &fs.PathError{Op: "open mirror", Path: s.String(), Err: syscall.ENOENT}
	case what == Empty:
		err = fmt.Errorf("%s is %w: it is empty", s, ErrNoMirror)
	}
	if errors.Is(err, ErrNoMirror) || errors.Is(err, fs.ErrNotExist) {
		err = Nowhere(err.Error(), err)
	}
	return err
}

// Draft is a file that is being written and that no reader sees. One goroutine writes it, and ends
// it with Commit or Discard. In between several may read it, while nobody writes.
type Draft interface {
	io.Writer
	io.WriterAt // not to be mixed with Write
	io.ReaderAt // reads what was written, until Seal
	// Seal ends writing and frees what writing takes. Commit does it too.
	Seal() error
	// Commit gives the file its name, in one step, and replaces what had it.
	Commit(ctx context.Context, name string) error
	// Discard removes the draft. After Commit it does nothing.
	Discard()
}

// CheckPath reports a name of a file for which [ValidPath] is false.
func CheckPath(name string) error {
	if !ValidPath(name) {
		return fmt.Errorf("file %.140q: %w", name, ErrName)
	}
	return nil
}

// ValidPath tells whether a name can be that of a mirror's file: relative, with slashes, within the
// mirror, neither hidden nor in [TmpDir].
func ValidPath(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "\\\x00") &&
		name != TmpDir && !strings.HasPrefix(name, TmpDir+"/") && name[0] != '.' &&
		!strings.Contains(name, "/.")
}
