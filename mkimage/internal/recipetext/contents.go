package recipetext

import (
	"strings"

	"deltaup/chunkstore"
)

// Contents collects the contents that a recipe's lines name. Files with the same content share one.
type Contents struct {
	Unlisted bool // those of AppendUnlisted may be among them

	known chunkstore.ContentTable
	open  *chunkstore.Content // the content of the chunk lines that follow; nil: none may follow
}

// End says that no chunk lines of the last content follow.
func (c *Contents) End() { c.open = nil }

// Take reads the two fields of [AppendContent], or of [AppendUnlisted] where these are permitted.
// It gives nil for the empty content.
func (c *Contents) Take(f *Fields) *chunkstore.Content {
	size := int64(f.Number(10, 63))
	text := f.Text()
	if size == 0 {
		return nil // Read refuses any text but noID, which AppendContent writes
	}
	text, unlisted := strings.CutPrefix(text, noChunks)
	standIn := unlisted && len(text) == standInDigits
	if standIn {
		text += text
	}
	id, err := chunkstore.ParseID(text)
	if err != nil || id.IsZero() || unlisted && !c.Unlisted {
		f.Fail("%.80q is no content id", text)
		return nil
	}
	if standIn {
		id = chunkstore.StandIn(id)
	}
	if known := c.known.Get(id); known != nil {
		if known.Size != size {
			f.Fail("content %v with %d and with %d bytes", id, known.Size, size)
		}
		return known
	}
	taken := &chunkstore.Content{ID: id, Size: size}
	c.known.Add(taken)
	if !unlisted {
		c.open = taken
		taken.Chunks = []chunkstore.Chunk{{ID: id, Size: size}} // unless chunk lines follow
	}
	return taken
}

// standInDigits is how many digits tell a stand-in, two for a byte of its second half.
const standInDigits = len(chunkstore.ID{})

// Chunk is the [LineFunc] of a chunk's line. The caller has read its word.
func (c *Contents) Chunk(f *Fields, b []byte) ([]byte, error) {
	if c.open == nil {
		return nil, Corrupt("a chunk that follows no file with a new content")
	}
	k := chunkstore.Chunk{Size: int64(f.Number(10, 63))}
	if text := f.Text(); text != noID {
		id, err := chunkstore.ParseID(text)
		if err != nil || id.IsZero() {
			return nil, Corrupt("%.80q is no chunk id", text)
		}
		k.ID = id
	}
	if k.ID == c.open.ID {
		return nil, Corrupt("a chunk line that repeats its content's id")
	}
	if impliedChunks(c.open) { // the first chunk line
		c.open.Chunks = nil
	}
	c.open.Chunks = append(c.open.Chunks, k)
	return appendChunk(b, k), nil
}

// ContentCheck validates the contents of a recipe, each at its first appearance.
type ContentCheck struct {
	chunkMax int64
	contents chunkstore.ContentTable
	chunks   map[chunkstore.ID]int64 // sizes of chunks that are no whole contents, by id
}

// NewContentCheck returns a check of contents that were cut as p says.
func NewContentCheck(p chunkstore.Params) *ContentCheck {
	return &ContentCheck{
		chunkMax: int64(p.Max),
		chunks:   make(map[chunkstore.ID]int64),
	}
}

// First reports whether c appears for the first time. Its error, when another content has c's id,
// wraps chunkstore.ErrCorrupt.
func (v *ContentCheck) First(c *chunkstore.Content) (bool, error) {
	if v.contents.Add(c) {
		return true, nil
	}
	if v.contents.Get(c.ID) != c {
		return false, Corrupt("content %v described twice", c.ID)
	}
	return false, nil
}

// Chunks checks c's chunks. Its errors wrap chunkstore.ErrCorrupt.
func (v *ContentCheck) Chunks(c *chunkstore.Content) error {
	left := c.Size
	for _, k := range c.Chunks {
		if k.Size <= 0 || k.Size > left {
			return Corrupt("chunks that do not add up to %d bytes", c.Size)
		}
		left -= k.Size
		if k.IsHole() {
			continue
		}
		if k.Size > v.chunkMax {
			return Corrupt("a chunk of %d bytes", k.Size)
		}
		if known, ok := v.size(k.ID); ok && known != k.Size {
			return Corrupt("chunk %v with %d and with %d bytes", k.ID, known, k.Size)
		}
		if len(c.Chunks) > 1 || v.contents.Get(k.ID) != c {
			v.chunks[k.ID] = k.Size
		}
	}
	if left != 0 {
		return Corrupt("chunks that do not add up to %d bytes", c.Size)
	}
	if len(c.Chunks) == 1 && !c.Chunks[0].IsHole() && c.Chunks[0].ID != c.ID {
		return Corrupt("its only chunk is not the content")
	}
	return nil
}

// size is how many bytes the chunk with an id has in the contents so far.
func (v *ContentCheck) size(id chunkstore.ID) (bytes int64, ok bool) {
	if bytes, ok = v.chunks[id]; ok {
		return bytes, true
	}
	if c := v.contents.Get(id); c != nil && len(c.Chunks) == 1 && c.Chunks[0].ID == id {
		return c.Chunks[0].Size, true
	}
	return 0, false
}
