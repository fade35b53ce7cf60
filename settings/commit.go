package settings

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"deltaup/chunkstore"
)

// reason is why commit makes a generation.
type reason struct {
	cause   Cause
	message string // one line, may be empty
	// Resolved are the paths whose conflicts have ended.
	resolved []string
}

// commit makes a generation of a view and notes that it is the one that is laid. Its parent is the
// one that was laid, whose conflicts it inherits. The caller holds the store's lock. The error wraps
// ErrUnchanged when neither entries nor conflicts have changed.
func (s *Store) commit(ctx context.Context, v *View, why reason) (*Generation, error) {
	laid, err := s.Laid()
	if err != nil {
		return nil, err
	}
	if laid.Image != v.Image {
		return nil, fmt.Errorf("%w: what is laid belongs to another image", ErrNone)
	}
	g := &Generation{Number: 1, Parent: laid.Generation, Image: v.Image, List: chunkstore.Sum(v.List.Text()),
		Time: time.Now().UTC().Truncate(time.Second), Cause: why.cause, Message: why.message, Entries: v.Entries}
	if laid.Generation > 0 {
		before, err := s.Generation(laid.Generation)
		if err != nil && !lost(err) {
			return nil, err
		}
		if err == nil {
			for _, c := range before.Conflicts {
				if !slices.Contains(why.resolved, c.Path()) {
					g.Conflicts = append(g.Conflicts, c)
				}
			}
			was, err := fitted(v.defaults, before.Entries)
			if err == nil && len(g.Conflicts) == len(before.Conflicts) && sameEntries(g.Entries, was) {
				return nil, fmt.Errorf("%w since generation %d", ErrUnchanged, before.Number)
			}
		}
	} else if len(v.Entries) == 0 {
		return nil, fmt.Errorf("%w: there is nothing but the image's defaults", ErrUnchanged)
	}
	numbers, err := s.Generations()
	if err != nil {
		return nil, err
	}
	if len(numbers) > 0 {
		g.Number = numbers[len(numbers)-1] + 1
	}
	if len(numbers) > 2*maxKept { // no boot has pruned for long
		if _, err := s.Prune(ctx, g.Time, DefaultPolicy); err != nil {
			return nil, err
		}
	}
	text := v.List.Text()
	if err := s.add(g.List, bytesOf(text)); err != nil {
		return nil, err
	}
	for i := range v.Entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := &v.Entries[i]
		if e.Kind != File {
			continue
		}
		if err := s.add(e.Content, func() (io.ReadCloser, error) { return v.open(e) }); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	laid.Generation = g.Number
	return g, s.publish(laid, []*Generation{g}, v.defaults)
}
