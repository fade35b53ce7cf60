package patchset

import (
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// Step applies the recipe's patch to from. It verifies from by its hash in the head, and To too
// unless chunk lists are pending. Step.To shares contents with from. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion, or ErrFrom when from is another recipe.
func (h *Head) Step(from *mkimage.Recipe) (*Step, error) {
	id, err := from.ID()
	if err != nil {
		return nil, fmt.Errorf("patch set: %w", err)
	}
	return h.StepFrom(from, id)
}

// StepAfter applies the recipe's patch to the recipe that another step leads to, as StepFrom does.
func (h *Head) StepAfter(before *Step) (*Step, error) {
	return h.StepFrom(before.To, before.head.To)
}

// StepFrom applies the recipe's patch to a recipe of which the caller knows the hash. Chunk lists
// that are pending there may stay pending: without them nobody can verify that recipe. One that is
// another all the same shows in the image, which has a hash of its own. Errors are those of Step,
// or wrap ErrPending when this set refers to missing chunk lists.
func (h *Head) StepFrom(from *mkimage.Recipe, id chunkstore.ID) (*Step, error) {
	if id != h.From {
		return nil, fmt.Errorf("%w: from %v, not %v", ErrFrom, h.From, id)
	}
	s, err := h.step(from)
	if err != nil {
		return nil, fmt.Errorf("patch set: %w", err)
	}
	return s, nil
}

func (h *Head) step(from *mkimage.Recipe) (*Step, error) {
	streams, err := readBundle(h.bundle, h.columns(), columnsMax, nil)
	if err != nil {
		return nil, err
	}
	in := readColumns(streams)
	to, renamed, err := h.readRecipe(in, from)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	s := &Step{To: to, pending: unlistedOf(to), head: h}
	s.Entries, err = readDirectory(in, newListing(from, to, originsOf(renamed)), len(h.Groups))
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if err := s.findOthers(); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if len(s.pending) == 0 {
		return s, s.Finish()
	}
	return s, nil
}

// Complete gives the contents of To the ids and chunk lists that they have in r, which is the same
// recipe, whole: the caller has its hash. Steps after s, and those before it, see these, too. The
// error wraps chunkstore.ErrCorrupt when r cannot be that recipe; then the step is of no use any
// more.
func (s *Step) Complete(r *mkimage.Recipe) error {
	same := s.To.Entries.Len() == r.Entries.Len()
	for i := 0; i < r.Entries.Len() && same; i++ {
		c, known := s.To.Entries.Content(i), r.Entries.Content(i)
		if c == nil || c.Size == 0 || !unlisted(c) {
			continue
		}
		if same = known != nil && known.Size == c.Size; same {
			*c = *known
		}
	}
	if !same {
		return fmt.Errorf("patch set: %w: the recipe is another one", chunkstore.ErrCorrupt)
	}
	return nil
}

// Name gives the contents of To whose ids are stand-ins those that showed when they were made.
func (s *Step) Name() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, id := range s.made {
		c.ID = id
	}
}

// name notes the id of what e has made, if that is a whole content without one.
func (s *Step) name(e *Entry, id chunkstore.ID) {
	if !e.Content.ID.IsStandIn() || e.Length != e.Content.Size {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = make(map[*chunkstore.Content]chunkstore.ID)
	}
	s.made[e.Content] = id
}

// Finish verifies To by its hash, once all pending contents have their ids and chunk lists. The
// error wraps chunkstore.ErrCorrupt.
func (s *Step) Finish() error {
	for _, c := range s.pending {
		if c.Chunks == nil {
			return fmt.Errorf("patch set: %w: content %v has no chunk list yet",
				chunkstore.ErrCorrupt, c.ID)
		}
	}
	id, err := s.To.ID()
	if err == nil && id != s.head.To {
		err = fmt.Errorf("%w: the recipe is %v instead of %v", chunkstore.ErrCorrupt, id, s.head.To)
	}
	if err != nil {
		return fmt.Errorf("patch set: %w", err)
	}
	return nil
}
