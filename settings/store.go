package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/folder"
)

var (
	// ErrNone is wrapped when a store has no such generation or object, or nothing is laid.
	ErrNone = errors.New("not in the store")
	// ErrDamaged is wrapped when something in the store is not what its name or hash says, or is
	// of another kind than it should be.
	ErrDamaged = errors.New("damaged")
	// ErrTooMuch is wrapped when the settings of a machine exceed a bound.
	ErrTooMuch = errors.New("too much for settings")
	// ErrUnchanged is wrapped when there is nothing to commit.
	ErrUnchanged = errors.New("nothing has changed")
	// ErrMessage is wrapped when a message for the log is none.
	ErrMessage = errors.New("the message is not one line of UTF-8 with at most 1000 bytes")
	// ErrNoConflict is wrapped when there is no conflict to resolve.
	ErrNoConflict = errors.New("is in no conflict")
)

// Bounds of what is kept.
const (
	maxEntries = 20_000    // entries of a generation
	MaxFile    = 64 << 20  // bytes of a file
	maxBytes   = 256 << 20 // bytes of all files of a generation
)

// Names in the store, and how many of them are read.
const (
	nameLock        = "lock"
	nameLaid        = "laid"
	nameGenerations = "generations"
	nameObjects     = "objects"
	nameDefaults    = "defaults"
	nameUpper       = "upper"
	nameTrash       = "trash"

	newSuffix = ".new" // a file that is not yet under its name

	maxGenerations = 10_000
	maxObjects     = 200_000
	maxUppers      = 1000
)

// Store is the folder in which a machine's settings are kept. One goroutine uses it. Whoever writes
// holds its Lock.
type Store struct {
	// Spare is an empty folder in memory in which Boot lays what the store does not take; "": none.
	Spare string

	top         *folder.Folder
	generations *folder.Folder
	objects     *folder.Folder
	defaults    *folder.Folder
	upper       *folder.Folder
	trash       *folder.Folder // what is being removed
	readOnly    bool
}

// Open opens the store in a folder of this machine, and makes what is missing of it.
func Open(dir string) (*Store, error) {
	if err := durable.MkdirSecret(dir); err != nil {
		return nil, err
	}
	return open(dir, false)
}

// OpenReadOnly opens a store that nothing is written to. A missing folder is an error that wraps
// fs.ErrNotExist.
func OpenReadOnly(dir string) (*Store, error) { return open(dir, true) }

func open(dir string, readOnly bool) (*Store, error) {
	top, err := folder.Open(dir)
	if err != nil {
		return nil, kindIsDamage(err)
	}
	s := &Store{top: top, readOnly: readOnly}
	need := func(name string) *folder.Folder {
		var f *folder.Folder
		if err == nil && readOnly {
			if f, err = top.Folder(name); errors.Is(err, fs.ErrNotExist) {
				f, err = nil, nil // nothing was ever written there
			}
		} else if err == nil {
			f, err = top.Need(name, 0o700)
		}
		return f
	}
	s.generations = need(nameGenerations)
	s.objects = need(nameObjects)
	s.defaults = need(nameDefaults)
	s.upper = need(nameUpper)
	s.trash = need(nameTrash)
	if err != nil {
		return nil, errors.Join(kindIsDamage(err), s.Close())
	}
	return s, nil
}

// kindIsDamage tells callers that something of the wrong kind lies in the store.
func kindIsDamage(err error) error {
	if errors.Is(err, folder.ErrKind) || errors.Is(err, folder.ErrMany) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Close closes the store's folders.
func (s *Store) Close() error {
	var err error
	for _, f := range []*folder.Folder{s.generations, s.objects, s.defaults, s.upper, s.trash, s.top} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Lock waits until no other process writes to the store, or the context ends.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	f, err := s.top.Open(nameLock)
	if errors.Is(err, fs.ErrNotExist) && !s.readOnly {
		if f, err = s.top.Create(nameLock); errors.Is(err, fs.ErrExist) {
			f, err = s.top.Open(nameLock)
		}
	}
	if err != nil {
		return nil, kindIsDamage(err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // nothing was written
		}
		if err != unix.EAGAIN && err != unix.EINTR {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: f.Name(), Err: err}, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for %s: %w", f.Name(), ctx.Err()), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Generations gives the numbers of the generations in ascending order. Those that are damaged are
// among them.
func (s *Store) Generations() ([]int, error) {
	if s.generations == nil {
		return nil, nil
	}
	names, err := s.generations.Names(maxGenerations)
	if err != nil {
		return nil, kindIsDamage(err)
	}
	var numbers []int
	for _, name := range names {
		if n, ok := number(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// number reads a name that is a number from 1, as the store writes it.
func number(name string) (int, bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n > 0 && n <= maxNumber && strconv.Itoa(n) == name
}

// Generation reads a generation. Errors wrap ErrNone or ErrDamaged, or are those of the system.
func (s *Store) Generation(number int) (*Generation, error) {
	g, err := s.read(s.generations, strconv.Itoa(number))
	if err == nil && (g.Number != number || g.Cause == shipped) {
		err = fmt.Errorf("%w: it is another one", ErrDamaged)
	}
	if errors.Is(err, ErrNone) {
		err = ErrNone // and no path of the store's own
	}
	if err != nil {
		return nil, fmt.Errorf("generation %d: %w", number, err)
	}
	return g, nil
}

// head reads what a generation says of itself: number, image, list and time. That is quicker than
// reading all of it, and nothing has verified it.
func (s *Store) head(number int) (*Generation, error) {
	if s.generations == nil {
		return nil, ErrNone
	}
	f, err := s.generations.Open(strconv.Itoa(number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	if err != nil {
		return nil, kindIsDamage(err)
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return nil, err
	}
	p := parser{rest: string(text)}
	g, err := p.head()
	if err != nil {
		return nil, fmt.Errorf("generation %d: %w: %w", number, ErrDamaged, err)
	}
	return g, nil
}

// read reads a generation, or an image's defaults, under a name.
func (s *Store) read(from *folder.Folder, name string) (*Generation, error) {
	text, err := s.text(from, name, maxText)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// text reads a file of the store, whose folder is nil when a store for reading lacks it.
func (s *Store) text(from *folder.Folder, name string, limit int64) ([]byte, error) {
	if from == nil {
		return nil, ErrNone
	}
	text, err := from.Read(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return text, kindIsDamage(err)
}

// replace writes a file beside its name. The function that it returns gives it the name, in place of
// an older file. The caller syncs before that, and afterwards.
func (s *Store) replace(in *folder.Folder, name string, text []byte) (rename func() error, err error) {
	stage := name + newSuffix
	if err := s.remove(in, stage); err != nil {
		return nil, err
	}
	if err := in.Write(stage, text); err != nil {
		return nil, err
	}
	return func() error {
		err := in.Rename(stage, in, name)
		if errors.Is(err, unix.EISDIR) { // somebody has put a folder there
			if err = in.Discard(name, s.trash); err == nil {
				err = in.Rename(stage, in, name)
			}
		}
		return err
	}, nil
}

// remove removes a name of the store, of whatever kind it is.
func (s *Store) remove(in *folder.Folder, name string) error {
	err := in.Remove(name)
	if errors.Is(err, unix.EISDIR) {
		err = in.Discard(name, s.trash)
	}
	return err
}
