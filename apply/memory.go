package apply

import (
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/human"
	"deltaup/mkimage"
)

// ErrMemory is wrapped when a pull takes more memory than Request.Memory permits.
var ErrMemory = errors.New("too little memory is permitted")

// What a pull plans to have in memory, in bytes. doc/pull.md adds it up. Encoders get what the rest
// leaves.
const (
	heapOther = 4 << 20 // buffers of files, hashes, lines

	// What is known of images, measured.
	heapEntry = 55  // bytes of an entry of a recipe
	heapChunk = 120 // of a chunk, with its part of a content
	heapPlace = 65  // of where a content lies in a seed

	// heapBeside is what a process takes beside what it uses: the program, its stacks, and what the
	// collector has not yet freed.
	heapBeside = 16 << 20
)

// processMin is the least that a pull takes, on whatever route.
const processMin = 24 << 20

// processes are the sizes that a process aims at, by itself: the first in which the rebuild of the
// image has room, or the last.
var processes = [...]int64{64 << 20, 96 << 20, 128 << 20}

// heapStep is what recipes and a content made by a step may take, before there are encoders. With
// that a pull takes 128 MiB, as measured. Tests take less.
var heapStep int64 = 110 << 20

// transformCopies is how many times its length, rewritten or not, an entry with a transform takes:
// for base and content, both rewritten and longer for it, and for tables.
const transformCopies = 3

// patchUnknown stands for a chain whose sets are not known yet.
const patchUnknown = 24 << 20

// process is how much memory the process takes when it rebuilds the image: what the request
// permits, else the least of processes with room for one encoder. Chain is nil when no contents
// come by patch.
func (u *Update) process(chain *chain) int64 {
	if u.r.Memory > 0 {
		return u.r.Memory
	}
	need := u.heapNeed(chain)
	for _, p := range processes {
		if need+heapBeside <= p {
			return p
		}
	}
	return processes[len(processes)-1]
}

// heapNeed is what the rebuild has in memory with one encoder.
func (u *Update) heapNeed(chain *chain) int64 {
	need := u.heapLess(chain)
	if r := u.anyRecipe(); r != nil {
		need += mkimage.EncoderMemory(r.Codec, r.BlockSize)
	}
	return need
}

// heapLess is what the rebuild has in memory without encoders.
func (u *Update) heapLess(chain *chain) int64 {
	n := heapOther + u.seeds.recipes(u.recipe)
	if chain != nil {
		n += chain.memory()
	}
	return n
}

// anyRecipe is the image's recipe, or else one of a seed, which it will resemble; nil: there is
// none.
func (u *Update) anyRecipe() *mkimage.Recipe {
	if u.recipe != nil {
		return u.recipe
	}
	for _, s := range u.seeds.list {
		if s.derived != nil {
			return s.derived.Recipe
		}
	}
	return nil
}

// encoderMemory is what the rebuild of the image leaves to its encoders, in bytes; one works in any
// case. Chain is nil when no contents come by patch.
func (u *Update) encoderMemory(chain *chain) int64 {
	return max(u.process(chain)-heapBeside-u.heapLess(chain), 1)
}

// checkMemory tells whether the request permits the memory that the rebuild takes.
func (u *Update) checkMemory(chain *chain) error {
	if need := u.heapNeed(chain) + heapBeside; u.r.Memory > 0 && need > u.r.Memory {
		return fmt.Errorf("%w: %s are needed, %s may be taken", ErrMemory, human.Size(need),
			human.Size(u.r.Memory))
	}
	return nil
}

// limitMemory says how much memory the process will take, once the plan is made.
func (u *Update) limitMemory() {
	if u.r.Limit == nil {
		return
	}
	var c *chain
	if m, ok := u.route.(maker); ok {
		c = m.making()
	}
	n := u.process(c)
	if u.r.Memory <= 0 && (len(u.outputs.rebuilt()) > 0 || c != nil && c.steps()) {
		n = processes[len(processes)-1] // steps need it
	}
	u.r.Limit(n)
}

// recipes is what the recipes of the seeds take, and another one, which may be nil.
func (s *seeds) recipes(r *mkimage.Recipe) (bytes int64) {
	for _, x := range s.list {
		if x.derived != nil {
			bytes += int64(x.derived.Recipe.Entries.Len()) * heapEntry
			for c := range x.derived.Recipe.Contents() {
				bytes += contentMemory(c) + heapPlace
			}
		}
	}
	if r == nil {
		return bytes
	}
	bytes += int64(r.Entries.Len()) * heapEntry
	for c := range r.Contents() {
		if s.of(c.ID) == nil { // else both recipes share it
			bytes += contentMemory(c)
		}
	}
	return bytes
}

func contentMemory(c *chunkstore.Content) int64 {
	return int64(max(1, len(c.Chunks))) * heapChunk
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

// decodersShare is the part of the bound on a run's decoders that is reckoned with, as one over it.
// It is an estimate and no bound: a decoder makes its window as it needs it, and those of the
// security pair take 10 of 27 MiB; those of other sets may take all.
const decodersShare = 2

// memory reckons what patching takes beside the image: the entry that takes most, or several, and
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
			decoders = max(decoders, s.head.RunMemory(n)/decodersShare)
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
