package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// seed is one local source of content: a squashfs image, or an artifact that is rebuilt beside one,
// whose files are its contents; or any other file, which is one content. It is only ever read.
type seed struct {
	path  string
	f     *seedMedium
	image *squashfs.Image // in f; nil: it is something else
	lost  int64           // places of f that could not be read when it was read

	params  chunkstore.Params // that its contents were cut by
	derived *mkimage.Derived  // of an image
	// of the text of an image's recipe; zero when the image is not ours or damaged
	recipe chunkstore.ID
	apart  *unpacked          // nil: it was not taken apart
	raw    chunkstore.Content // of any other file

	// fingerprint of an image whose kept recipe was taken instead of reading it; zero: it was read
	keptAs chunkstore.ID

	speed *speed  // at which its blocks are compressed; nil: not measured
	plain int64   // bytes that were read of an image
	rate  float64 // of them, per second; 0: none were
}

// openSeed opens a seed and reads all of it, cut as its image says, or by the default. Of an image
// whose recipe was kept only the metadata are read.
func (u *Update) openSeed(ctx context.Context, path string, e *events) (*seed, error) {
	if !u.ignoreKept {
		if s := u.r.Early.seed(path); s != nil {
			return s, nil
		}
	}
	f, err := openMedium(path)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	s := &seed{path: path, f: f}
	if s.image, err = u.findImage(f, f.size()); err != nil {
		return nil, errors.Join(fmt.Errorf("seed %s: %w", path, err), f.Close())
	}
	var kept *state.Recipes
	if !u.ignoreKept {
		kept = &u.state.Recipes
	}
	if err := s.read(ctx, chunkstore.Params{}, kept, e); err != nil {
		f.Close()
		return nil, fmt.Errorf("seed %s: %w", path, err)
	}
	return s, nil
}

// read reads all of the seed and cuts it by params. Zero params mean those of its image. Then the
// image's recipe may be among the kept ones, unless kept is nil.
func (s *seed) read(ctx context.Context, params chunkstore.Params, kept *state.Recipes,
	e *events) error {
	defer func() { s.lost = s.f.lost.Load() }()
	if s.image != nil {
		return s.readImage(ctx, params, kept, e)
	}
	if params == (chunkstore.Params{}) {
		params = chunkstore.DefaultParams
	}
	s.params = params
	if s.apart != nil {
		return s.apart.read(ctx, s.f.section(), params)
	}
	progress := &progressReader{
		ctx:    ctx,
		r:      s.f.section(),
		total:  s.f.size(),
		stage:  StageSeed,
		of:     s.path,
		events: e,
	}
	var err error
	s.raw, err = chunkstore.NewSplitter(params).Split(progress, nil)
	return err
}

func (s *seed) readImage(ctx context.Context, params chunkstore.Params, kept *state.Recipes,
	e *events) (err error) {
	var known state.KeptRecipe
	if kept != nil && params == (chunkstore.Params{}) {
		if k, err := kept.Of(s.image); err == nil {
			known = *k
		}
	}
	s.keptAs = known.Fingerprint
	start := time.Now()
	s.plain, s.rate = 0, 0
	s.derived, err = mkimage.Derive(ctx, s.image, params, mkimage.DeriveOptions{
		Tolerant: true,
		Known:    known.Recipe,
		Unlisted: true,
		Progress: func(done, total int64) { s.plain = done; e.progress(StageSeed, s.path, done, total) },
	})
	if err != nil {
		return err
	}
	if known.Recipe == nil {
		s.rate = float64(s.plain) / time.Since(start).Seconds()
	}
	s.params = s.derived.Recipe.Chunking
	if bad := s.derived.Unreadable; len(bad) > 0 {
		e.harmed(s.path,
			"is damaged: %d files cannot be read and are not used, the first of them %s: %v",
			len(bad), bad[0].Path, bad[0].Err)
		return nil
	}
	if s.derived.Recipe.Codec == "" || params != (chunkstore.Params{}) {
		return nil // not ours, or not as it was published
	}
	if s.derived.Recipe.Unlisted() > 0 {
		s.recipe = known.Text
		return nil
	}
	s.recipe, err = s.derived.Recipe.ID()
	return err
}

// listChunks reads what the image's kept recipe lacks.
func (s *seed) listChunks(ctx context.Context, e *events) error {
	before := s.derived.Recipe
	d, err := mkimage.Derive(ctx, s.image, before.Chunking, mkimage.DeriveOptions{
		Tolerant: true,
		Known:    before,
		Progress: func(done, total int64) { e.progress(StageSeed, s.path, done, total) },
	})
	if err != nil {
		return s.changed(err)
	}
	id, err := d.Recipe.ID()
	// what a medium gives now it may not have given before
	if err != nil || id != s.recipe || d.Recipe.Entries.Len() != before.Entries.Len() {
		return &keptError{fmt.Errorf("seed %s: %w", s.path, because(errOtherRecipe, err))}
	}
	for i, c := range before.Entries.Contents() { // the same
		*c = *d.Recipe.Entries.Content(i)
	}
	s.derived = d
	return nil
}

// stretches lists the stretches that the seed has as an image of that codec and block size stores
// them.
func (s *seed) stretches(r *mkimage.Recipe) []mkimage.Stretch {
	if s.derived == nil || s.derived.Recipe.Codec != r.Codec ||
		s.derived.Recipe.BlockSize != r.BlockSize {
		return nil
	}
	return s.derived.Recipe.Layout()
}

// contents calls fn for every content that the seed has.
func (s *seed) contents(fn func(c *chunkstore.Content)) {
	switch {
	case s.derived != nil:
		for c := range s.derived.Recipe.Contents() {
			fn(c)
		}
	case s.apart != nil:
		s.apart.contents(fn)
	default:
		fn(&s.raw)
	}
}

// has tells whether the seed has a content whole.
func (s *seed) has(id chunkstore.ID) bool {
	switch {
	case s.derived != nil:
		return s.derived.Has(id)
	case s.apart != nil:
		return s.apart.own.Get(id) != nil
	}
	return s.raw.ID == id
}

// source gives whole contents, to build an image of the recipe r, which may be nil. It is nil when
// the seed is one content.
func (s *seed) source(r *mkimage.Recipe) mkimage.Source {
	switch {
	case s.derived != nil:
		return s.derived.Source(r)
	case s.apart != nil:
		return s.apart.source
	}
	return nil
}

// file opens a content for random access. What it reads is not verified.
func (s *seed) file(ctx context.Context, id chunkstore.ID) (io.ReaderAt, error) {
	switch {
	case s.derived != nil:
		return s.derived.File(id)
	case s.apart != nil:
		return s.apart.file(ctx, id)
	}
	return s.f, nil
}

// changed marks the error of a read that worked when the seed was first read.
func (s *seed) changed(err error) error {
	return fmt.Errorf("seed %s: %w: %w", s.path, ErrSeed, err)
}

func (s *seed) close() error {
	if s.apart != nil {
		s.apart.spool.Discard()
	}
	return s.f.Close()
}
