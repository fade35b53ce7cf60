package settings

import (
	"context"
	"errors"
	"os"
	"time"

	"deltaup/chunkstore"
)

// Report is what Boot did, or what it would do.
type Report struct {
	Image  chunkstore.ID // the image that boots
	Before chunkstore.ID // the image that ran before; the zero ID: none is known

	Committed  int  // the generation that was made of what had changed; 0: nothing had
	Generation int  // the generation that is laid; 0: the image's defaults alone
	Merged     bool // that generation was put together for this image now
	RolledBack bool // the image ran before and has again the settings that it had

	Changes   []string   // paths that differ from the image's defaults
	Newest    []string   // paths whose version stayed although the image was rolled back
	Conflicts []Conflict // all that nobody has resolved; New tells which are new
	New       []string   // paths of conflicts that this merge has made
	Refused   []string   // paths of new conflicts that the list refuses (merge=refuse)
	Dropped   []string   // paths that the list before kept and this one does not
	NotKept   []Lost     // changes that were not listed, at most 10,000
	Warnings  []string   // what else somebody should know, one line each

	// Failure is why the settings could not be laid as they should be. What Places has is then the
	// image's defaults with those newest entries that could be had; or, when nothing can be written,
	// the upper folders as they were left, or fresh ones in memory.
	Failure error
	Lost    string // name in the store of the upper folder that was put aside; "": none

	Places []Place // nothing in a dry run
}

// Place is a folder of the image above which an overlay is to be mounted.
type Place struct {
	Path string // as /etc
	// Missing tells that the image has no such folder: the overlay has an empty one below it.
	Missing     bool
	Upper, Work *os.File // open folders of the store
}

// Close closes the folders of the places.
func (r *Report) Close() error {
	var err error
	for _, p := range r.Places {
		err = errors.Join(err, p.Upper.Close(), p.Work.Close())
	}
	r.Places = nil
	return err
}

// Boot commits what was changed since the last boot, merges it with the defaults of the image that
// boots now, and lays fresh upper folders. It mounts nothing. The caller holds the store's lock. A
// cut of power at any moment leaves what was laid before, or what is laid now, never a mixture. When
// the image keeps nothing, Boot does nothing.
//
// An error means that nothing can be mounted: the image's defaults count. What else goes wrong is
// Report.Failure.
func Boot(ctx context.Context, store *Store, source *Source) (*Report, error) {
	if len(source.list.Places()) == 0 {
		return &Report{Image: source.image}, nil
	}
	short, cancel := share(ctx)
	defer cancel()
	p, err := makePlan(short, store, source)
	defer p.close() // nothing was written
	if err == nil {
		err = p.apply(short)
	}
	if err == nil {
		return p.report, nil
	}
	r, worse := p.fallBack(ctx, err)
	if worse != nil {
		return nil, errors.Join(err, worse)
	}
	return r, nil
}

// share is two thirds of the time that is left: the rest is for what comes after a failure.
func share(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)*2/3)
}

// Dry tells what Boot would do if an image booted now. It writes nothing: the store may be one that
// is in use, or a copy of another machine's.
func Dry(ctx context.Context, store *Store, source *Source) (*Report, error) {
	p, err := makePlan(ctx, store, source)
	err = errors.Join(err, p.close())
	if err != nil {
		return nil, err
	}
	return p.report, nil
}
