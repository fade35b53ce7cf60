package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/madeblocks"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/human"
	"deltaup/mirror"
)

// Update is an update that was prepared. Close it.
type Update struct {
	r         Request
	events    events
	state     *state.Folder
	meta      *metadata
	fetcher   *fetcher
	machine   machine
	seedBytes int64 // of all seeds
	release   *mirror.Release

	ignoreKept bool // seeds are read even when their recipes are kept
	*found
}

// found is what was found out about an update, all of it from the state folder, the seeds and the
// mirror.
type found struct {
	seeds   *seeds
	image   *mirror.Artifact // nil when no image is to be written
	current bool             // the slot holds the image
	outputs outputs

	needed
	routes
	unread      int64 // bytes of seeds that are read to know the files in them
	filesUnread bool  // the files in the seeds are not read: it would take too long
	copyIsSeed  bool  // the copy of the image is one of the seeds
	noCopies    bool  // blocks of the seeds are not copied any more

	made     *madeblocks.Store // nil: not opened
	noMaking bool              // no blocks are made beside fetching any more

	plan    *delta.Plan
	route   route       // the plan's; nil when no image is wanted
	offer   delta.Offer // the route's
	written *writing    // the image, when it was written while it was fetched
	quote   Quote
	ready   bool // all of this was found, and no Run has used it
}

func (u *Update) newFound() *found {
	return &found{seeds: &seeds{}, routes: newRoutes(u)}
}

// Prepare fetches the metadata, locks the slot's state folder, reads the seeds and plans. Nothing
// but the state folder is written to. It closes r.Early.
func Prepare(ctx context.Context, r Request) (*Update, error) {
	if r.Channel == "" && r.Version == "" {
		return nil, errors.New("neither a channel nor a version was asked for")
	}
	if r.Memory > 0 && r.Memory < processMin {
		return nil, fmt.Errorf("%w: an update takes %s at least, %s may be taken", ErrMemory,
			human.Size(processMin), human.Size(r.Memory))
	}
	if r.Parallel <= 0 {
		r.Parallel = delta.DefaultParallel
	}
	u := &Update{
		r:       r,
		events:  events{fn: r.Events},
		machine: machine{cpu: r.CPU},
	}
	u.found = u.newFound()
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
	u.fetcher = &fetcher{
		client:   r.Client,
		cache:    folder.Cache,
		meta:     u.meta,
		parallel: r.Parallel,
		events:   &u.events,
		sizes:    map[chunkstore.ID]int64{},
	}
	if u.machine.cpu.Write <= 0 {
		u.machine.cpu.Write = folder.WriteRate()
	}
	err = u.prepare(ctx)
	// what was not taken is not wanted in memory
	if err = errors.Join(err, r.Early.Close()); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// Close releases seeds and state folder.
func (u *Update) Close() error { return errors.Join(u.found.close(), u.state.Close()) }

func (f *found) close() error {
	f.outputs.close()
	f.patch.chain.close()
	return errors.Join(f.seeds.close(), f.blocks.pieces.close(), f.made.Close())
}

// Quote says what Run will take.
func (u *Update) Quote() Quote { return u.quote }

// Harmed tells whether all or a part of a seed was found to be of no use while the update was
// prepared, for damage as a rule.
func (u *Update) Harmed(seed string) bool { return u.events.isHarmed(seed) }
