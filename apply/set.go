package apply

import (
	"context"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/mirror"
)

// set is a patch set: of the image, one step on the way from a seed to the release, or of an
// artifact beside it.
type set struct {
	patch *mirror.Patch
	small bool            // it is fetched whole at once
	to    *mirror.Release // that it leads to
	head  *patchset.Head
	step  *patchset.Step // nil: not loaded

	entries  map[chunkstore.ID][]int // in step.Entries, in order, of each content
	unusable map[int]bool            // groups that are damaged on all mirrors or cannot be decoded
	wrong    map[int]bool            // entries that come out wrong
	declined map[int]bool            // entries made by a step, which is not taken
}

func (f *fetcher) newSet(p *mirror.Patch, to *mirror.Release) *set {
	f.sizes[p.Set.ID] = p.Set.Size
	return &set{patch: p, to: to, unusable: map[int]bool{}, wrong: map[int]bool{},
		declined: map[int]bool{}}
}

// recipe is that of the release that the set leads to.
func (s *set) recipe() *mirror.RecipeObject { return s.to.Artifact(mirror.ImageName).Recipe }

func (s *set) file() delta.File { return delta.File{Kind: delta.SetFile, ID: s.patch.Set.ID} }

func (s *set) name() string { return mirror.PatchPath(s.patch.Set.ID) }

// index finds the entries of each content.
func (s *set) index() {
	s.entries = map[chunkstore.ID][]int{}
	for i := range s.step.Entries {
		id := s.step.Entries[i].Content.ID
		s.entries[id] = append(s.entries[id], i)
	}
}

// group is where a group lies.
func (s *set) group(n int) delta.Piece {
	g := s.head.Groups[n]
	return delta.Piece{File: s.file(), Extent: delta.Extent{Offset: g.Offset, Length: g.Length}}
}

// badGroup is a group that is not what the head says.
func (s *set) badGroup(n int) badExtent {
	return badExtent{
		file:   s.file(),
		Extent: s.group(n).Extent,
		cause:  fmt.Errorf("%s: group %d: %w", s.name(), n, chunkstore.ErrCorrupt),
	}
}

// headBytes is how many bytes are fetched for a set's head: all of the set when the rest is no more
// than a request is worth.
func (f *fetcher) headBytes(s *set) int64 {
	if s.small || f.wholeFiles || s.patch.Set.Size-s.patch.Head.Size <= f.meta.line.RequestCost() {
		return s.patch.Set.Size
	}
	return s.patch.Head.Size
}

// comesWhole tells whether all of a set is fetched with its head.
func (f *fetcher) comesWhole(s *set) bool { return f.headBytes(s) == s.patch.Set.Size }

// readHead reads a set's head, fetching what is missing of it.
func (f *fetcher) readHead(ctx context.Context, s *set) (*patchset.Head, error) {
	for {
		got, err := f.extent(ctx, s.file(), delta.Extent{Length: f.headBytes(s)})
		if err != nil {
			return nil, err
		}
		b := make([]byte, s.patch.Head.Size)
		if err := f.cache.ReadAt(s.patch.Set.ID, b, 0); err != nil {
			return nil, err
		}
		h, err := parseHead(b, s.patch.Head)
		if err == nil {
			return h, nil
		}
		bad := badExtent{
			file:   s.file(),
			Extent: delta.Extent{Length: s.patch.Head.Size},
			cause:  fmt.Errorf("%s: %w", s.name(), err),
		}
		if err := f.discard([]badExtent{bad}, got); err != nil {
			return nil, err
		}
	}
}

// parseHead reads a head, which must be want. It tells a well-formed head of another set
// (mirror.ErrOtherSet) from a damaged one. When the head has another size than want, b has only its
// first bytes; these say the size.
func parseHead(b []byte, want mirror.Object) (*patchset.Head, error) {
	size, err := patchset.HeadSize(b)
	if err != nil {
		return nil, err
	}
	if size != want.Size {
		return nil, fmt.Errorf("%w: its head has %d bytes, not %d: %w", mirror.ErrOtherSet, size,
			want.Size, chunkstore.ErrCorrupt)
	}
	h, err := patchset.ReadHead(b)
	if err == nil && h.ID != want.ID {
		err = fmt.Errorf("%w: its head has the hash %s, not %s: %w", mirror.ErrOtherSet, h.ID,
			want.ID, chunkstore.ErrCorrupt)
	}
	return h, err
}

// readGroup reads a group's stored bytes, fetching what is missing of it.
func (f *fetcher) readGroup(ctx context.Context, s *set, n int) ([]byte, error) {
	for {
		got, err := f.extent(ctx, s.file(), s.group(n).Extent)
		if err != nil {
			return nil, err
		}
		b, ok, err := f.cachedGroup(s, n)
		if err != nil || ok {
			return b, err
		}
		if err := f.discard([]badExtent{s.badGroup(n)}, got); err != nil {
			return nil, err
		}
	}
}

// cachedGroup reads a group's stored bytes, and tells whether they have the hash that the head
// says.
func (f *fetcher) cachedGroup(s *set, n int) (stored []byte, ok bool, err error) {
	g := s.head.Groups[n]
	stored = make([]byte, g.Length)
	if err := f.cache.ReadAt(s.patch.Set.ID, stored, g.Offset); err != nil {
		return nil, false, err
	}
	return stored, chunkstore.Sum(stored) == g.Hash, nil
}
