package settings

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
)

// Policy says which generations Prune keeps besides those that it always keeps.
type Policy struct {
	Number int           // the last ones
	Age    time.Duration // those that are younger
}

// DefaultPolicy is that of Boot.
var DefaultPolicy = Policy{Number: 50, Age: 90 * 24 * time.Hour}

// maxKept is how many generations stay however young they are: a program that saves each minute must
// not fill the store, and a clock can have been wrong.
const maxKept = 1000

// keepImages is how many images keep their last generation, since a slot may hold them.
const keepImages = 8

// Prune removes generations, and then the objects and defaults that none of the rest names. It
// always keeps the generation that is laid, and the last one of each of the eight images that ran
// last, since a slot may hold them. Of the rest it keeps no more than 1000. It gives the numbers that
// it removed.
func (s *Store) Prune(ctx context.Context, now time.Time, p Policy) ([]int, error) {
	numbers, err := s.Generations()
	if err != nil || len(numbers) <= p.Number {
		return nil, err
	}
	laid, err := s.Laid()
	if err != nil && !lost(err) {
		return nil, err
	}
	choice := func(read func(int) (*Generation, error)) ([]int, *keeper, error) {
		k := &keeper{images: map[chunkstore.ID]bool{}, objects: map[chunkstore.ID]bool{}}
		gone, err := k.choose(ctx, numbers, read, laid, now, p)
		return gone, k, err
	}
	// To read all of them takes too long for a boot that then removes nothing.
	if gone, _, err := choice(s.head); err != nil || len(gone) == 0 {
		return nil, err
	}
	gone, k, err := choice(s.Generation)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	for _, n := range gone {
		if err := s.remove(s.generations, strconv.Itoa(n)); err != nil {
			return nil, err
		}
	}
	if err := s.generations.Sync(); err != nil { // before what they name is gone
		return nil, err
	}
	return gone, s.sweep(k)
}

// keeper is what the generations that stay name.
type keeper struct {
	images  map[chunkstore.ID]bool // whether a generation of the image stays
	objects map[chunkstore.ID]bool
}

// choose gives the generations that go, and keeps the rest.
func (k *keeper) choose(ctx context.Context, numbers []int, read func(int) (*Generation, error), laid *Laid,
	now time.Time, p Policy) (gone []int, err error) {
	if laid != nil {
		k.images[laid.Image] = false
	}
	old := len(numbers) - p.Number // those before are old enough by their number
	for i, n := range slices.Backward(numbers) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		g, err := read(n)
		if err != nil && !lost(err) {
			return nil, err
		}
		switch {
		case err != nil && i >= old: // damaged, and somebody may want to look at it
		case err != nil:
			gone = append(gone, n)
		case i >= old, now.Sub(g.Time) < p.Age && i >= len(numbers)-maxKept, laid != nil && n == laid.Generation,
			k.last(g.Image):
			k.keep(g)
		default:
			gone = append(gone, n)
		}
	}
	slices.Reverse(gone)
	return gone, nil
}

// last tells whether a generation is the last one of one of the images that ran last.
func (k *keeper) last(image chunkstore.ID) bool {
	return !k.images[image] && len(k.images) < keepImages
}

func (k *keeper) keep(g *Generation) {
	k.images[g.Image] = true
	k.objects[g.List] = true
	for i := range g.Entries {
		k.objects[g.Entries[i].Content] = true
	}
	for i := range g.Conflicts {
		c := &g.Conflicts[i]
		for _, e := range []*Entry{&c.Base, &c.Local, &c.Image} {
			k.objects[e.Content] = true
		}
	}
}

// sweep removes objects and defaults that nothing names.
func (s *Store) sweep(k *keeper) error {
	err := s.sweepFolder(s.defaults, func(name string) bool {
		id, err := chunkstore.ParseID(name)
		if _, ok := k.images[id]; err != nil || !ok {
			return false
		}
		if g, err := s.read(s.defaults, name); err == nil {
			k.objects[g.List] = true
			for i := range g.Entries {
				k.objects[g.Entries[i].Content] = true
			}
		}
		return true
	})
	return errors.Join(err, s.sweepFolder(s.objects, func(name string) bool {
		id, err := chunkstore.ParseID(name)
		return err == nil && k.objects[id]
	}))
}

func (s *Store) sweepFolder(in *folder.Folder, keep func(name string) bool) error {
	names, err := in.Names(maxObjects)
	if err != nil {
		return kindIsDamage(err)
	}
	for _, name := range names {
		if !keep(name) {
			if err := s.remove(in, name); err != nil {
				return err
			}
		}
	}
	return nil
}
