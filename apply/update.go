package apply

import (
	"context"
	"errors"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Update is an update that was prepared. Close it.
type Update struct {
	r         Request
	events    events
	state     *state.Folder
	meta      *metadata
	cpu       delta.CPU
	seedBytes int64 // of all seeds
	release   *mirror.Release

	unbelieving bool // kept recipes are not believed any more
	wholeFiles  bool // the mirrors send only whole files

	sizes map[chunkstore.ID]int64 // of the mirror's patch sets and packs, as far as they are known
	*found
}

// found is what was found out about an update, all of it from the state folder, the seeds and the
// mirror.
type found struct {
	seeds    *seeds
	image    *mirror.Artifact    // nil when no image is to be written
	current  bool                // the slot holds the image
	raw      *chunkstore.Content // of an image that is raw
	outputs  []output
	encoders *mkimage.Encoders // that Update.cpu was measured with; nil: none

	// What is known of the image so far; see load.
	// contents that come by patch lack their chunks unless whole is set
	recipe       *mkimage.Recipe
	whole        bool // recipe is the mirror's own
	indexed      bool // at, chunks and other are there
	at           map[chunkstore.ID]chunkstore.Location
	chunks       delta.List    // of the image's contents
	other        delta.List    // of raw artifacts, and of an initrd
	initrdPieces []delta.Piece // of the patch set of an initrd
	pieces       pieces
	chain        *chain // of patch sets to the image; nil: there is none

	closed       map[delta.Route]error // routes that failed, and why
	initrdClosed bool                  // no patch set gives an initrd any more
	unread       int64                 // bytes of seeds that are read to know the files in them
	copied       bool                  // the copy of the image is one of the seeds
	seedless     bool                  // the seeds' files are not read: stored bytes come sooner
	prove        bool                  // blocks of the seeds are not copied any more
	way          delta.Way             // of the plan
	early        *early                // the image, when it was written while it was fetched
	plan         *delta.Plan
	quote        Quote
	ready        bool // all of this was found, and no Run has used it
}

func newFound() *found { return &found{seeds: &seeds{}, closed: map[delta.Route]error{}} }

// Prepare fetches the metadata, locks the slot's state folder, reads the seeds and plans.
// Nothing but the state folder is written to.
func Prepare(ctx context.Context, r Request) (*Update, error) {
	if r.Channel == "" && r.Version == "" {
		return nil, errors.New("neither a channel nor a version was asked for")
	}
	if r.Parallel <= 0 {
		r.Parallel = delta.DefaultParallel
	}
	u := &Update{
		r:      r,
		events: events{fn: r.Events},
		cpu:    r.CPU,
		found:  newFound(),
		sizes:  map[chunkstore.ID]int64{},
	}
	slot := ""
	if r.Slot != nil {
		slot = r.Slot.Name()
	}
	if r.Copy != "" && slot != "" {
		if err := notSlot(r.Copy, slot); err != nil {
			return nil, err
		}
	}
	if err := u.pickSeeds(slot); err != nil {
		return nil, err
	}
	folder, err := state.Open(r.StateDir, slot)
	if err != nil {
		return nil, nospace.Mark(err)
	}
	u.state = folder
	u.meta = newMetadata(r, folder)
	if u.cpu.Write <= 0 {
		u.cpu.Write = folder.WriteRate()
	}
	if err := u.prepare(ctx); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// Close releases seeds and state folder.
func (u *Update) Close() error { return errors.Join(u.found.close(), u.state.Close()) }

func (f *found) close() error {
	for _, o := range f.outputs {
		if o.initrd != nil {
			o.initrd.set.close()
		}
	}
	f.chain.close()
	return errors.Join(f.seeds.close(), f.pieces.close())
}

// Quote says what Run will take.
func (u *Update) Quote() Quote { return u.quote }
