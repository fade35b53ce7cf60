package mkimage

import (
	"fmt"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// Blockmap says where each data and fragment block of a recipe's image lies, so that a target can read
// stored blocks out of an image that it has not got. It is made from the image by [ReadBlockmap] and
// travels as a file, which [ParseBlockmap] joins with the recipe again. Format: doc/blockmap.md.
type Blockmap struct {
	Stretches []Stretch // as Recipe.Layout gives them
	End       int64     // where the data area ends and the image's tables begin

	codec     string
	blockSize int
	words     []uint32 // length word of each block, in order
	marks     []int64  // where every blockMarkEvery-th block lies
	first     []int    // number of each stretch's first block

	large     map[chunkstore.ID]int // content of a stretch of data blocks -> the stretch
	fragments map[chunkstore.ID]int // key of the contents in a fragment block -> the stretch
}

// StoredBlock is where a block lies in an image.
type StoredBlock struct {
	Offset     int64 // in the image
	Length     int   // stored bytes; 0 is a hole
	Size       int   // plain bytes
	Compressed bool
}

// blockMarkEvery keeps four bytes a block in memory, not twelve, and lookups short.
const blockMarkEvery = 64

// newBlockmap lays out blocks whose length words are not known yet.
func newBlockmap(r *Recipe) *Blockmap {
	b := &Blockmap{
		Stretches: r.Layout(),
		End:       DataStart,
		codec:     r.Codec,
		blockSize: r.BlockSize,
		large:     make(map[chunkstore.ID]int),
		fragments: make(map[chunkstore.ID]int),
	}
	for i := range b.Stretches {
		s := &b.Stretches[i]
		if s.Fragment {
			b.fragments[s.Key()] = i
		} else {
			b.large[s.Contents[0].ID] = i
		}
	}
	return b
}

// blockCount is the number of blocks that the map is to have.
func (b *Blockmap) blockCount() int {
	n := 0
	for i := range b.Stretches {
		n += b.Stretches[i].Blocks(b.blockSize)
	}
	return n
}

// append enters the next block of the stretch that was begun last; it says whether it can be.
func (b *Blockmap) append(length int, compressed bool) error {
	i := len(b.first) - 1
	size := b.size(i, len(b.words)-b.first[i])
	switch {
	case length < 0 || length == 0 && b.Stretches[i].Fragment,
		compressed && (length == 0 || length >= size),
		!compressed && length != 0 && length != size:
		return fmt.Errorf("block %d has %d stored bytes for %d plain ones: %w", len(b.words), length, size, chunkstore.ErrCorrupt)
	}
	if len(b.words)%blockMarkEvery == 0 {
		b.marks = append(b.marks, b.End)
	}
	word := uint32(0)
	if length > 0 {
		word = squashfs.LengthWord(length, compressed)
	}
	b.words = append(b.words, word)
	b.End += int64(length)
	return nil
}

// begin begins the next stretch.
func (b *Blockmap) begin() { b.first = append(b.first, len(b.words)) }

// size is the number of plain bytes of block n of a stretch.
func (b *Blockmap) size(stretch, n int) int {
	s := &b.Stretches[stretch]
	if !s.Fragment {
		return int(min(int64(b.blockSize), s.Contents[0].Size-int64(n)*int64(b.blockSize)))
	}
	size := 0
	for _, c := range s.Contents {
		size += int(c.Size)
	}
	return size
}

// Blocks gives the blocks of b.Stretches[stretch] in order, holes included.
func (b *Blockmap) Blocks(stretch int) iter.Seq[StoredBlock] {
	return func(yield func(StoredBlock) bool) {
		first, count := b.first[stretch], b.Stretches[stretch].Blocks(b.blockSize)
		at := b.offset(first)
		for n := range count {
			s := b.block(stretch, n, at)
			if !yield(s) {
				return
			}
			at += int64(s.Length)
		}
	}
}

// Block gives data block n of a content; false when the content has none such: when it lies in a
// fragment block, has no data or is not in the image.
func (b *Blockmap) Block(content chunkstore.ID, n int) (StoredBlock, bool) {
	i, ok := b.large[content]
	if !ok || n < 0 || n >= b.Stretches[i].Blocks(b.blockSize) {
		return StoredBlock{}, false
	}
	return b.block(i, n, b.offset(b.first[i]+n)), true
}

// FragmentBlock gives the block that holds exactly these contents, one after another.
func (b *Blockmap) FragmentBlock(contents []chunkstore.ID) (StoredBlock, bool) {
	i, ok := b.fragments[fragmentKey(contents)]
	if !ok {
		return StoredBlock{}, false
	}
	return b.block(i, 0, b.offset(b.first[i])), true
}

func (b *Blockmap) block(stretch, n int, offset int64) StoredBlock {
	word := b.words[b.first[stretch]+n]
	return StoredBlock{
		Offset:     offset,
		Length:     storedLength(word),
		Size:       b.size(stretch, n),
		Compressed: word != 0 && word&plainBit == 0,
	}
}

// offset tells where block i of the whole image lies.
func (b *Blockmap) offset(i int) int64 {
	mark := i / blockMarkEvery
	if mark == len(b.marks) { // the stretch is empty and the last: it has no block
		return b.End
	}
	at := b.marks[mark]
	for _, w := range b.words[mark*blockMarkEvery : i] {
		at += int64(storedLength(w))
	}
	return at
}

// plainBit is set in the length word of a block that is stored plain.
const plainBit = 1 << 24

func storedLength(word uint32) int { return int(word &^ plainBit) }

// Lacking sums what an image of old does not have: the stored bytes of blocks, and their plain bytes, which a
// target that has old alone compresses again when it does not fetch the blocks.
func (b *Blockmap) Lacking(old *Recipe) (stored, plain int64) {
	has := make(map[chunkstore.ID]bool)
	if old.Codec == b.codec && b.codec != "" && old.BlockSize == b.blockSize {
		for _, s := range old.Layout() {
			has[s.Key()] = true
		}
	}
	for i := range b.Stretches {
		if has[b.Stretches[i].Key()] {
			continue
		}
		for at := range b.Blocks(i) {
			if at.Length > 0 {
				stored += int64(at.Length)
				plain += int64(at.Size)
			}
		}
	}
	return stored, plain
}
