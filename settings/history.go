package settings

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// Logged is a generation with what it changed.
type Logged struct {
	*Generation
	Changes []Difference // from its parent; all entries when that is not there any more
	Damage  error        // why the generation cannot be read; all but Number is empty then
}

// Log gives the generations of a store, the newest first, at most most of them. With paths it is
// those that changed one of them, or what is below it.
func (s *Store) Log(paths []string, most int) ([]Logged, error) {
	numbers, err := s.Generations()
	if err != nil {
		return nil, err
	}
	slices.Reverse(numbers)
	match := Match(paths)
	var steps []Logged
	for _, n := range numbers {
		if len(steps) == most {
			break
		}
		g, err := s.Generation(n)
		if errors.Is(err, ErrNone) {
			continue // pruned meanwhile
		}
		if errors.Is(err, ErrDamaged) {
			steps = append(steps, Logged{Generation: &Generation{Number: n}, Damage: err})
			continue
		}
		if err != nil {
			return nil, err
		}
		step := Logged{Generation: g, Changes: s.changes(g, match)}
		if len(step.Changes) > 0 || len(paths) == 0 {
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// changes compares a generation with its parent.
func (s *Store) changes(g *Generation, match func(string) bool) (all []Difference) {
	parent, err := s.Generation(g.Parent)
	if err != nil {
		parent = &Generation{} // pruned, damaged or none
	}
	for path := range union(parent.Entries, g.Entries) {
		if !match(path) {
			continue
		}
		before, after := parent.Entry(path), g.Entry(path)
		if before != nil && after != nil {
			if d := differ(path, before, after); d != nil {
				all = append(all, *d)
			}
			continue
		}
		d := Difference{path, Changed, before, after}
		e, added, deleted := after, Added, Deleted
		if e == nil { // as in the image again
			e, added, deleted = before, Deleted, Added
		}
		switch {
		case e.Kind == Gone:
			d.What = deleted
		case e.Default.IsZero():
			d.What = added
		}
		all = append(all, d)
	}
	return all
}

// Secrets gives a function that tells which paths of a generation are secret: those that its own
// list marks so, or that of the image that runs. A list that cannot be read makes all of them so.
func (s *Store) Secrets(g *Generation, running *list.List) func(path string) bool {
	own, err := s.listOf(g.List)
	if err != nil {
		return func(string) bool { return true }
	}
	both := &secret{[]*list.List{own}}
	if running != nil {
		both.lists = append(both.lists, running)
	}
	return both.is
}

// maxList bounds the text of a list.
const maxList = 6 << 20

func (s *Store) listOf(id chunkstore.ID) (*list.List, error) {
	r, err := s.OpenObject(id)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	text, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxList {
		return nil, fmt.Errorf("list %s: %w: more than %d bytes", id, ErrTooMuch, maxList)
	}
	return list.Parse(text)
}
