package settings

import (
	"context"
	"errors"
	"io"
	"time"

	"deltaup/chunkstore"
)

var errTodo = errors.New("not written yet")

var (
	// ErrNone is wrapped when a store has no such generation or object, or nothing is laid.
	ErrNone = errors.New("not in the store")
	// ErrDamaged is wrapped when something in the store is not what its name or hash says, or is
	// of another kind than it should be.
	ErrDamaged = errors.New("damaged")
	// ErrTooMuch is wrapped when the settings of a machine exceed a bound.
	ErrTooMuch = errors.New("too much for settings")
	// ErrUnchanged is wrapped by Commit when there is nothing to commit.
	ErrUnchanged = errors.New("nothing has changed")
)

// Bounds of what is kept.
const (
	MaxEntries = 20_000    // entries of a generation
	MaxFile    = 64 << 20  // bytes of a file
	MaxBytes   = 256 << 20 // bytes of all files of a generation
)

// Store is the folder in which a machine's settings are kept. One goroutine uses it. Whoever writes
// holds its Lock.
type Store struct{}

// Open opens the store in a folder of this machine, and makes what is missing of it.
func Open(dir string) (*Store, error) { return nil, errTodo }

// OpenReadOnly opens a store that nothing is written to. A missing folder is an error that wraps
// fs.ErrNotExist.
func OpenReadOnly(dir string) (*Store, error) { return nil, errTodo }

// Close closes the store's folders.
func (s *Store) Close() error { return errTodo }

// Lock waits until no other process writes to the store, or the context ends.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) { return nil, errTodo }

// Generations gives the numbers of the generations in ascending order. Those that are damaged are
// among them.
func (s *Store) Generations() ([]int, error) { return nil, errTodo }

// Generation reads a generation. Errors wrap ErrNone or ErrDamaged, or are those of the system.
func (s *Store) Generation(number int) (*Generation, error) { return nil, errTodo }

// OpenObject opens the content of a file, or the text of a list. It has been read and compared with
// its name. Errors wrap ErrNone or ErrDamaged, or are those of the system.
func (s *Store) OpenObject(id chunkstore.ID) (io.ReadCloser, error) { return nil, errTodo }

// Laid is what lies above the image of the running machine.
type Laid struct {
	Generation int           // 0: none, the image's defaults alone were laid
	Image      chunkstore.ID // the image that it was laid for
	Upper      int           // number of the folder in the store
	Places     []string      // sorted
}

// Laid tells what was laid last. The error wraps ErrNone when nothing ever was.
func (s *Store) Laid() (*Laid, error) { return nil, errTodo }

// Policy says which generations Prune keeps besides those that it always keeps.
type Policy struct {
	Number int           // the last ones
	Age    time.Duration // those that are younger
}

// DefaultPolicy is that of Boot.
var DefaultPolicy = Policy{Number: 50, Age: 90 * 24 * time.Hour}

// Prune removes generations, and then the objects and defaults that none of the rest names. It
// always keeps the generation that is laid, and the last one of each of the eight images that ran
// last, since a slot may hold them. It gives the numbers that it removed.
func (s *Store) Prune(ctx context.Context, now time.Time, p Policy) ([]int, error) {
	return nil, errTodo
}
