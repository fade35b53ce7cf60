package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
)

// PatchStats is what making one patch set took.
type PatchStats struct {
	Artifact string // ImageName or InitrdName
	From     string
	Size     int64 // bytes of the set
	Contents int   // that it gives
	Time     time.Duration
}

// patching makes the patch sets of a new release whose chunks are on the mirror.
type patching struct {
	u      *publisher
	to     *mkimage.Recipe
	text   chunkstore.ID // hash of to as a file
	new    patchset.Contents
	blocks *blockmap.Map                         // of to's image
	chunks map[chunkstore.ID]chunkstore.Location // of the whole release
	folder *chunkstore.Folder
	meta   int64 // LeftOutCost
	out    *Result
}

// previous gives the version that the channel points to, "" when there is none.
func (u *publisher) previous(out *Result) string {
	if u.p.Channel == "" {
		return ""
	}
	name := mirror.PointerPath(u.p.Channel)
	p, err := verify.Pointer(u.path(name))
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
func (u *publisher) before(previous string, out *Result) []*mirror.Release {
	var list []*mirror.Release
	seen := map[string]bool{u.p.Version: true}
	for version := previous; version != "" && !seen[version] && len(list) < u.p.PatchFrom; {
		seen[version] = true
		old, err := folder.ReadRelease(u.dir, version)
		if err != nil {
			out.warn("no patch set from %s or a release before it: %v", version, err)
			break
		}
		list = append(list, old)
		version = old.Previous
	}
	return list
}

// all makes patch sets from the old releases. What is wrong with one of those is a warning: the new
// release is as good without a patch set from it.
func (p *patching) all(ctx context.Context, releases []*mirror.Release) ([]mirror.Patch, error) {
	var patches []mirror.Patch
	recipes := map[chunkstore.ID]bool{p.text: true}
	for _, old := range releases {
		a := old.Artifact(mirror.ImageName)
		if a == nil || a.Recipe == nil || recipes[a.Recipe.Text] {
			continue // nothing to lead from, or a set has been made from the same image
		}
		recipes[a.Recipe.Text] = true
		patch, err := p.from(ctx, old)
		if err == nil {
			patches = append(patches, *patch)
		} else if err = p.without(ctx, "patch set from "+old.Version, err); err != nil {
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

// from makes one patch set, proves it and gives it its name.
func (p *patching) from(ctx context.Context, old *mirror.Release) (*mirror.Patch, error) {
	begin := time.Now()
	from, err := verify.Recipe(p.u.path, old.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		return nil, &sourceError{err}
	}
	f, err := durable.Create(p.u.tmp)
	if err != nil {
		return nil, err
	}
	defer f.Discard()
	contents := patchset.FromStore(p.folder)
	set, made, err := writeSet(f, func(w io.Writer) (*patchset.Stats, error) {
		return patchset.Make(ctx, w, from, p.to, contents, p.new, patchset.MakeOptions{
			ChunkCost: p.chunkCost(
				from,
			), LeftOutCost: p.meta, Progress: p.u.progress(StagePatch, setName(mirror.ImageName, old)),
		})
	})
	if err != nil {
		return nil, err
	}
	file, err := old.Object()
	if err != nil {
		return nil, &sourceError{err}
	}
	want := mirror.Patch{
		From:    old.Version,
		Release: &file,
		Recipe:  old.Artifact(mirror.ImageName).Recipe.Text,
		Set:     set,
		Head:    mirror.Object{ID: made.ID, Size: made.HeadSize},
	}
	if err := verify.Apply(ctx, f, &want, from, contents, p.text, p.u.progress(StageProve, setName(mirror.ImageName, old))); err != nil {
		return nil, &sourceError{fmt.Errorf("apply it: %w", err)}
	}
	p.costs(&want, from, old)
	if err := p.u.commitFile(ctx, f, mirror.PatchPath(set.ID), set); err != nil {
		return nil, err
	}
	p.out.Patches = append(p.out.Patches, PatchStats{
		Artifact: mirror.ImageName, From: old.Version, Size: set.Size, Contents: countContents(made), Time: time.Since(begin),
	})
	return &want, nil
}

// setName is what people call the patch set from an artifact of an old release.
func setName(artifact string, old *mirror.Release) string { return artifact + " from " + old.Version }

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

// chunkCost gives what a content costs a target by chunks that has the old release.
func (p *patching) chunkCost(from *mkimage.Recipe) func(c *chunkstore.Content) int64 {
	has := chunksOf(from)
	return func(c *chunkstore.Content) (n int64) {
		for _, ch := range c.Chunks {
			if !ch.IsHole() && !has[ch.ID] {
				n += p.chunks[ch.ID].Length
			}
		}
		return n
	}
}

func chunksOf(r *mkimage.Recipe) map[chunkstore.ID]bool {
	has := map[chunkstore.ID]bool{}
	for _, ch := range r.Chunks() {
		has[ch.ID] = true
	}
	return has
}

// costs fills in what the step costs by the other routes.
func (p *patching) costs(patch *mirror.Patch, from *mkimage.Recipe, old *mirror.Release) {
	has := chunksOf(from)
	for _, ch := range p.to.Chunks() {
		if !has[ch.ID] {
			patch.Chunks += p.chunks[ch.ID].Length
		}
	}
	patch.Blocks, patch.Compress = p.blocks.Lacking(p.oldBlocks(old)), p.to.Lacking(from)
}

// oldBlocks reads the block map of a release's image. Without one, nil, the whole image is taken
// for new.
func (p *patching) oldBlocks(old *mirror.Release) *blockmap.Map {
	a := old.Artifact(mirror.ImageName)
	if a.Blockmap == nil {
		return nil
	}
	name := mirror.BlockmapPath(a.Blockmap.ID)
	file, err := verify.Small(p.u.path(name), mirror.MaxBlockmapSize)
	if err == nil {
		var blocks *blockmap.Map
		if blocks, err = blockmap.Parse(file, a.Size); err == nil {
			return blocks
		}
	}
	p.out.warn("%s, so that what stored blocks cost from %s is not known: %v", name, old.Version,
		err)
	return nil
}
