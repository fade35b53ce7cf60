package chunkstore

import (
	"fmt"
	"iter"
	"unicode/utf8"
)

// PackRef names one pack.
type PackRef struct {
	ID   ID
	Size int64 // bytes of the pack file
}

// RawList is one raw artifact of a release.
type RawList struct {
	Name      string
	Content   Content
	Locations []Location // one for each chunk of Distinct(Content)
}

// Index says where all chunks of one release lie. [Folder.Index] makes it. Format: doc/index.md.
type Index struct {
	Packs []PackRef  // the packs of the locations, in order of first use in Image, then in Raw
	Image []Location // one for each chunk of Distinct(the recipe's contents)
	Raw   []RawList  // in the publisher's order, no name twice
}

// Distinct returns the chunks of contents without holes and repetitions, in order of first
// appearance. The lists of an [Index] run parallel to it.
func Distinct(contents iter.Seq[*Content]) []Chunk {
	var chunks []Chunk
	seen := map[ID]struct{}{}
	for content := range contents {
		for _, c := range content.Chunks {
			if c.IsHole() {
				continue
			}
			if _, ok := seen[c.ID]; !ok {
				seen[c.ID] = struct{}{}
				chunks = append(chunks, c)
			}
		}
	}
	return chunks
}

// distinct is Distinct of the artifact's content.
func (l *RawList) distinct() []Chunk {
	return Distinct(func(yield func(*Content) bool) { yield(&l.Content) })
}

// Locations gives the location of each chunk of the recipe (Recipe.Chunks) and of all raw
// artifacts. Its error wraps [ErrCorrupt] when image is not what the index was made for.
func (x *Index) Locations(image []Chunk) (map[ID]Location, error) {
	at := make(map[ID]Location, len(image))
	if err := join(at, image, x.Image); err != nil {
		return nil, fmt.Errorf("index, image: %w", err)
	}
	for i := range x.Raw {
		if err := join(at, x.Raw[i].distinct(), x.Raw[i].Locations); err != nil {
			return nil, fmt.Errorf("index, %s: %w", x.Raw[i].Name, err)
		}
	}
	return at, nil
}

func join(at map[ID]Location, chunks []Chunk, locations []Location) error {
	if len(chunks) != len(locations) {
		return fmt.Errorf("%w: %d locations for %d chunks", ErrCorrupt, len(locations), len(chunks))
	}
	for i, c := range chunks {
		if err := checkFrame(c, locations[i].Length); err != nil {
			return err
		}
		at[c.ID] = locations[i]
	}
	return nil
}

// validate checks what reader and writer of the format demand beyond its syntax.
func (x *Index) validate() error {
	packs := make(map[ID]int64, len(x.Packs))
	for _, p := range x.Packs {
		if p.ID.IsZero() || p.Size < packSizeMin {
			return fmt.Errorf("%w: pack %s of %d bytes", ErrCorrupt, p.ID, p.Size)
		}
		if _, ok := packs[p.ID]; ok {
			return fmt.Errorf("%w: pack %s twice", ErrCorrupt, p.ID)
		}
		packs[p.ID] = p.Size
	}
	if err := validateLocations(packs, x.Image); err != nil {
		return err
	}
	names := map[string]bool{}
	for i := range x.Raw {
		l := &x.Raw[i]
		if names[l.Name] {
			return fmt.Errorf("%w: artifact %q twice", ErrCorrupt, l.Name)
		}
		names[l.Name] = true
		if err := l.validate(packs); err != nil {
			return fmt.Errorf("artifact %q: %w", l.Name, err)
		}
	}
	return nil
}

func (l *RawList) validate(packs map[ID]int64) error {
	if len(l.Name) == 0 || len(l.Name) > indexNameMax || !utf8.ValidString(l.Name) {
		return fmt.Errorf("%w: not a name", ErrCorrupt)
	}
	left := l.Content.Size
	for i, c := range l.Content.Chunks {
		if c.Size < 1 || c.Size > left || !c.IsHole() && c.Size > ChunkMax {
			return fmt.Errorf("%w: chunk %d of %d bytes", ErrCorrupt, i, c.Size)
		}
		if c.IsHole() && i > 0 && l.Content.Chunks[i-1].IsHole() {
			return fmt.Errorf("%w: chunk %d: two holes in a row", ErrCorrupt, i)
		}
		left -= c.Size
	}
	if left != 0 {
		return fmt.Errorf("%w: its chunks do not add up to its %d bytes", ErrCorrupt,
			l.Content.Size)
	}
	if err := join(map[ID]Location{}, l.distinct(), l.Locations); err != nil {
		return err
	}
	return validateLocations(packs, l.Locations)
}

// validateLocations checks that each frame lies within the frames of its pack.
func validateLocations(packs map[ID]int64, locations []Location) error {
	for _, l := range locations {
		size, ok := packs[l.Pack]
		if !ok {
			return fmt.Errorf("%w: pack %s is not in the list of packs", ErrCorrupt, l.Pack)
		}
		end := size - packTrailerSize - packEntrySize
		if l.Length < frameMin || l.Length > frameMax(ChunkMax) || l.Offset < packHeaderSize ||
			l.Offset > end-l.Length {
			return fmt.Errorf("%w: frame of %d bytes at %d in a pack of %d bytes", ErrCorrupt,
				l.Length, l.Offset, size)
		}
	}
	return nil
}
