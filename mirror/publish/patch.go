package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
)

// PatchStats is what making one patch set took.
type PatchStats struct {
	Artifact string // its name
	From     string
	Size     int64 // bytes of the set
	Contents int   // that it gives
	Time     time.Duration
}

// patching makes the patch sets of a new release whose chunks are on the mirror.
type patching struct {
	u      *publisher
	to     *mkimage.Recipe // of the image
	folder *chunkstore.Folder
	work   *work // all of them
	out    *Result
}

// goal is what patch sets lead to: one artifact of the new release.
type goal interface {
	// name is the artifact's.
	name() string
	// base is what a set from an old release leads from, and ok whether it can lead from that
	// release.
	base(old *mirror.Release) (id chunkstore.ID, ok bool)
	// self is what base gives for the goal itself.
	self() chunkstore.ID
	// amounts is what there is to do for a set from an old release.
	amounts(ctx context.Context, old *mirror.Release) (patchset.Amounts, error)
	// from reads what a set from an old release leads from. Its errors are sourceErrors.
	from(ctx context.Context, old *mirror.Release) (leading, error)
}

// leading is one way to a goal.
type leading interface {
	verify.Lead
	// make writes the set.
	make(ctx context.Context, w io.Writer, progress func(patchset.Progress)) (*patchset.Stats,
		error)
	// complete fills in what a release says of the set, all but From, Set and Head.
	complete(ctx context.Context, p *mirror.Patch) error
}

// previous gives the version that the channel points to, "" when there is none.
func (u *publisher) previous(ctx context.Context, out *Result) string {
	if u.p.Channel == "" {
		return ""
	}
	name := mirror.PointerPath(u.p.Channel)
	p, err := verify.Pointer(ctx, u.store, u.p.Channel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		out.warn("%s, which will be replaced: %v", name, err)
		return ""
	case p.Version == u.p.Version:
		return "" // its release file was deleted: what it had as previous is not known
	}
	return p.Version
}

func (p *Result) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// before reads the releases that patch sets are wanted from, newest first: previous, the one before
// it, and so on.
func (u *publisher) before(ctx context.Context, previous string, out *Result) []*mirror.Release {
	var list []*mirror.Release
	seen := map[string]bool{u.p.Version: true}
	for version := previous; version != "" && !seen[version] && len(list) < u.p.PatchFrom; {
		seen[version] = true
		old, err := mirror.ReadRelease(ctx, u.store, version)
		if err != nil {
			out.warn("no patch set from %s or a release before it: %v", version, err)
			break
		}
		list = append(list, old)
		version = old.Previous
	}
	return list
}

// basesOf gives the releases that sets to a goal lead from. The others have nothing to lead from,
// or a set leads from the same.
func basesOf(g goal, releases []*mirror.Release) iter.Seq[*mirror.Release] {
	return func(yield func(*mirror.Release) bool) {
		seen := map[chunkstore.ID]bool{g.self(): true}
		for _, old := range releases {
			base, ok := g.base(old)
			if !ok || seen[base] {
				continue
			}
			seen[base] = true
			if !yield(old) {
				return
			}
		}
	}
}

// setName is what people call a patch set.
func setName(g goal, old *mirror.Release) string { return g.name() + " from " + old.Version }

// all makes patch sets to a goal from the old releases. What is wrong with one of those is a
// warning: the new release is as good without a patch set from it.
func (p *patching) all(ctx context.Context, releases []*mirror.Release,
	g goal) ([]mirror.Patch, error) {
	var patches []mirror.Patch
	for old := range basesOf(g, releases) {
		patch, err := p.one(ctx, old, g)
		p.work.finished()
		if err == nil {
			patches = append(patches, *patch)
			continue
		}
		what := "patch set from " + old.Version
		if g.name() != mirror.ImageName {
			what = "patch set from the " + g.name() + " of " + old.Version
		}
		if err = p.without(ctx, what, err); err != nil {
			return nil, err
		}
	}
	return patches, nil
}

// without warns that there is no such set when that is all that follows from err, and else returns
// it.
func (p *patching) without(ctx context.Context, what string, err error) error {
	var s *sourceError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &s):
		p.out.warn("no %s: %v", what, s.err)
		return nil
	}
	return fmt.Errorf("make %s: %w", what, err)
}

// sourceError is an error in what a patch set leads from, or of the codecs, and none of writing it.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// one makes one patch set, proves it and gives it its name.
func (p *patching) one(ctx context.Context, old *mirror.Release, g goal) (*mirror.Patch, error) {
	begin := time.Now()
	p.work.begins()
	lead, err := g.from(ctx, old)
	if err != nil {
		return nil, err
	}
	f, err := p.u.store.Create(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Discard()
	set, made, err := writeSet(f, func(w io.Writer) (*patchset.Stats, error) {
		return lead.make(ctx, w, p.work.making)
	})
	if err != nil {
		return nil, err
	}
	want := &mirror.Patch{
		From: old.Version,
		Set:  set,
		Head: mirror.Object{ID: made.ID, Size: made.HeadSize},
	}
	if err := lead.complete(ctx, want); err != nil {
		return nil, err
	}
	if err := verify.Apply(ctx, f, want, lead, p.work.proving); err != nil {
		return nil, &sourceError{fmt.Errorf("apply it: %w", err)}
	}
	if err := p.u.commitFile(ctx, f, mirror.PatchPath(set.ID), set); err != nil {
		return nil, err
	}
	p.out.Patches = append(p.out.Patches, PatchStats{
		Artifact: g.name(), From: old.Version, Size: set.Size, Contents: countContents(made),
		Time: time.Since(begin),
	})
	return want, nil
}

// writeSet writes a set into f. An error of making it is a sourceError.
func writeSet(f io.Writer,
	make func(w io.Writer) (*patchset.Stats, error)) (mirror.Object, *patchset.Stats, error) {
	w := &setWriter{hasher: chunkstore.NewHasher(), w: bufio.NewWriterSize(f, 256<<10)}
	stats, err := make(w)
	if err == nil {
		err = w.w.Flush()
		w.err = err
	}
	switch {
	case err == nil:
		return mirror.Object{ID: w.hasher.ID(), Size: w.size}, stats, nil
	case w.err != nil:
		return mirror.Object{}, nil, w.err
	}
	return mirror.Object{}, nil, &sourceError{err}
}

// countContents counts contents, of which large ones have several entries.
func countContents(s *patchset.Stats) int {
	seen := map[*chunkstore.Content]bool{}
	for i := range s.Entries {
		seen[s.Entries[i].Content] = true
	}
	return len(seen)
}

// setWriter hashes and counts, and keeps the error of writing.
type setWriter struct {
	w      *bufio.Writer
	hasher *chunkstore.Hasher
	size   int64
	err    error
}

func (w *setWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.hasher.Write(b[:n])
	w.size += int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}
