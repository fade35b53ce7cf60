package settings

import (
	"context"
	"errors"

	"deltaup/chunkstore"
)

// Folders says where a machine's settings are.
type Folders struct {
	Store string // the store
	Image string // where the image that runs is mounted
	Root  string // the root of the machine, with what lies above the image
}

// Running is the settings of the running machine. OpenRunning comes first; Close ends it.
type Running struct {
	Store *Store
	Image *Source
	View  *View // as they were when it was opened, or after the last change by a method

	// Laid is the generation that the machine runs with; nil when it had none at its boot, and when
	// that cannot be read any more: Damage says why.
	Laid   *Generation
	Damage error

	folders Folders
	unlock  func()
	root    *Source // what lies in the root now; nil until it is needed
}

// OpenRunning reads the settings of the machine that runs. The fingerprint is that of its image; the
// zero ID stands for the image that was laid last. With change it takes the store's lock, and waits
// for it. Errors wrap fs.ErrNotExist when there is no store, ErrNone when nothing is laid for the
// image, or ErrDamaged.
func OpenRunning(ctx context.Context, folders Folders, fingerprint chunkstore.ID, change bool) (*Running, error) {
	open := OpenReadOnly
	if change {
		open = Open
	}
	store, err := open(folders.Store)
	if err != nil {
		return nil, err
	}
	r := &Running{Store: store, folders: folders}
	if err := r.open(ctx, fingerprint, change); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Running) open(ctx context.Context, fingerprint chunkstore.ID, change bool) (err error) {
	if change {
		if r.unlock, err = r.Store.Lock(ctx); err != nil {
			return err
		}
	}
	laid, err := r.Store.Laid()
	if err != nil {
		return err
	}
	if fingerprint.IsZero() {
		fingerprint = laid.Image
	}
	if r.Image, err = FromFolder(r.folders.Image, fingerprint); err != nil {
		return err
	}
	return r.look(ctx)
}

// look reads what is there now.
func (r *Running) look(ctx context.Context) error {
	if r.View != nil {
		if err := r.View.Close(); err != nil {
			return err
		}
		r.View = nil
	}
	laid, err := r.Store.Laid()
	if err != nil {
		return err
	}
	if r.Laid, r.Damage = nil, nil; laid.Generation != 0 {
		r.Laid, err = r.Store.Generation(laid.Generation)
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNone) {
			r.Damage = err // the next generation mends it
		} else if err != nil {
			return err
		}
	}
	r.View, err = r.Store.live(ctx, r.Image)
	return err
}

// Close ends the use of the store.
func (r *Running) Close() error {
	var err error
	if r.View != nil {
		err = r.View.Close()
	}
	for _, s := range []*Source{r.Image, r.root} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if r.unlock != nil {
		r.unlock()
	}
	return errors.Join(err, r.Store.Close())
}

// conflicts are those that nobody has resolved.
func (r *Running) conflicts() []Conflict {
	if r.Laid == nil {
		return nil
	}
	return r.Laid.Conflicts
}
