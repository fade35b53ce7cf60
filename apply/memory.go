package apply

import (
	"deltaup/delta/patchset"
	"deltaup/mkimage"
)

// What a pull plans to have in memory, in bytes. doc/pull.md adds it up. Encoders get what the rest
// leaves.
const (
	heapMax   = 100 << 20 // all together
	heapOther = 4 << 20   // buffers of files, hashes, lines

	// What is known of images, measured.
	heapEntry = 400 // bytes of an entry of a recipe, with what leads to its content
	heapChunk = 300 // of a chunk, with where it lies
)

// heapStep is what recipes and a content made by a step may take, before there are encoders. With
// that a pull takes 128 MiB, as measured. Tests take less.
var heapStep int64 = 110 << 20

// transformCopies is how many times its length, rewritten or not, an entry with a transform takes:
// for base and content, both rewritten and longer for it, and for tables.
const transformCopies = 3

// patchUnknown stands for a chain whose sets are not known yet.
const patchUnknown = 32 << 20

// encoderMemory is what the rebuild of a recipe leaves to its encoders, in bytes; one works in any
// case. Recipe is nil when it is not known yet, chain when no contents come by patch.
func encoderMemory(seeds *seeds, recipe *mkimage.Recipe, chain *chain) int64 {
	left := heapMax - heapOther - seeds.recipes(recipe)
	if chain != nil {
		left -= chain.memory()
	}
	return max(left, 1)
}

// recipes is what the recipes of the seeds take, and another one, which may be nil.
func (s *seeds) recipes(r *mkimage.Recipe) (bytes int64) {
	for _, x := range s.list {
		if x.derived != nil {
			bytes += recipeMemory(x.derived.Recipe)
		}
	}
	if r != nil {
		bytes += recipeMemory(r)
	}
	return bytes
}

func recipeMemory(r *mkimage.Recipe) int64 {
	n := int64(len(r.Entries)) * heapEntry
	for c := range r.Contents() {
		n += int64(len(c.Chunks)) * heapChunk
	}
	return n
}

// patchingMin is the memory that entries which are made at once may take even when none of them
// takes as much.
const patchingMin = 16 << 20

// largest is the memory that entries which are made at once may take together: as much as the one
// that takes most. C may be nil.
func (c *chain) largest() int64 {
	most := int64(patchingMin)
	if c == nil {
		return most
	}
	for _, s := range c.sets {
		for i := range s.step.Entries {
			if e := &s.step.Entries[i]; !e.Stepped() {
				most = max(most, entryMemory(e))
			}
		}
	}
	return most
}

// memory bounds what patching takes beside the image: the entry that takes most, or several, and
// the groups that are kept beside it. The bases of one set, which the sets before make, are there
// before an entry is. What steps make is there before the image.
func (c *chain) memory() int64 {
	if !c.loaded() {
		return patchUnknown
	}
	if len(c.sets) == 0 {
		return 0
	}
	var groups, largest, decoders int64
	for _, s := range c.sets {
		for n, g := range s.head.Groups {
			groups += g.Plain
			largest = max(largest, g.Plain)
			decoders = max(decoders, s.head.RunMemory(n))
		}
	}
	most := c.largest()
	kept := max(decoders, min(groups+decoders, openMax))
	if most > openLess {
		return max(most+decoders, openLess+kept) + largest
	}
	return most + kept + largest
}

func entryMemory(e *patchset.Entry) int64 {
	n := e.Length
	if e.Base != nil && e.Base.Size <= patchset.PieceMax { // larger ones are not read whole
		n = max(n, e.Base.Size)
	}
	rewritten, effort := e.Rewritten()
	switch {
	case e.Stepped(): // neither content is in memory when there is the other one, rewritten
		return rewritten + effort.Memory
	case e.Transform != 0:
		if rewritten > patchset.PieceMax {
			return rewritten + rewritten/2 // the base is compressed when there is the content
		}
		return transformCopies*max(n, rewritten) + effort.Memory
	case e.Base != nil:
		return 2*n + effort.Memory
	}
	return n
}
