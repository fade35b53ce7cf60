package chunkstore

import (
	"context"
	"fmt"
	"sync"
)

// Folder is all packs of a mirror, as a publisher keeps them. Goroutines may read it at the same
// time, also while one of them fills a [Batch].
type Folder struct {
	files PackFiles

	mu     sync.RWMutex
	packs  []PackRef
	chunks map[ID]place
}

// place is a Location in 16 bytes, since there may be millions of them.
type place struct {
	pack   uint32 // index in Folder.packs
	length uint32
	offset int64
}

// OpenFolder reads the tables of all packs below dir, which need not exist yet. It ignores files
// that are not named like packs. tmp is a folder on the same file system, in which new packs are
// written. A damaged pack is an error that wraps [ErrCorrupt].
func OpenFolder(dir, tmp string) (*Folder, error) { return OpenPacks(localPacks{dir, tmp}) }

// OpenPacks is OpenFolder for packs that lie anywhere.
func OpenPacks(files PackFiles) (*Folder, error) {
	f := &Folder{files: files, chunks: map[ID]place{}}
	ids, err := files.List()
	if err != nil {
		return nil, fmt.Errorf("open packs: %w", err)
	}
	for _, id := range ids { // of several packs with the same chunk the first counts
		if err := f.load(id); err != nil {
			return nil, fmt.Errorf("open packs: %s: %w", files.Name(id), err)
		}
	}
	return f, nil
}

// load reads the table of one pack.
func (f *Folder) load(id ID) error {
	file, err := f.files.Open(id)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	entries, err := ReadPackTable(file, file.Size())
	if err != nil {
		return err
	}
	f.add(PackRef{ID: id, Size: file.Size()}, entries)
	return nil
}

// add makes a pack visible.
func (f *Folder) add(pack PackRef, entries []PackEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint32(len(f.packs))
	f.packs = append(f.packs, pack)
	for _, e := range entries {
		if _, ok := f.chunks[e.ID]; !ok {
			f.chunks[e.ID] = place{pack: n, length: uint32(e.Length), offset: e.Offset}
		}
	}
}

// Locate implements [Store]. It knows the packs that OpenFolder found and those committed since.
func (f *Folder) Locate(id ID) (Location, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	p, ok := f.chunks[id]
	if !ok {
		return Location{}, false
	}
	return Location{Pack: f.packs[p.pack].ID, Offset: p.offset, Length: int64(p.length)}, true
}

// Chunk implements [Store].
func (f *Folder) Chunk(ctx context.Context, c Chunk) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, ok := f.Locate(c.ID)
	if !ok {
		return nil, fmt.Errorf("chunk %s: %w", c.ID, ErrNotFound)
	}
	if err := checkFrame(c, l.Length); err != nil {
		return nil, err
	}
	path := f.files.Name(l.Pack)
	file, err := f.files.Open(l.Pack)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w", c.ID, err)
	}
	defer file.Close()
	frame := make([]byte, l.Length)
	if err := readFullAt(file, frame, l.Offset); err != nil {
		return nil, fmt.Errorf("chunk %s: %s: %w", c.ID, path, err)
	}
	plain, err := DecodeFrame(nil, frame, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plain, nil
}

// Index makes the index of a release, whose chunks must all be committed. image is the recipe's
// chunks (Recipe.Chunks), raw the other artifacts, whose Locations Index fills in. A chunk that the
// folder lacks is an error that wraps [ErrNotFound].
func (f *Folder) Index(image []Chunk, raw []RawList) (*Index, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	x := &Index{}
	named := map[uint32]bool{}
	locate := func(chunks []Chunk) ([]Location, error) {
		var list []Location
		for _, c := range chunks {
			p, ok := f.chunks[c.ID]
			if !ok {
				return nil, fmt.Errorf("make index: chunk %s: %w", c.ID, ErrNotFound)
			}
			if !named[p.pack] {
				named[p.pack] = true
				x.Packs = append(x.Packs, f.packs[p.pack])
			}
			list = append(list,
				Location{Pack: f.packs[p.pack].ID, Offset: p.offset, Length: int64(p.length)})
		}
		return list, nil
	}
	var err error
	if x.Image, err = locate(image); err != nil {
		return nil, err
	}
	for _, l := range raw {
		if l.Locations, err = locate(l.distinct()); err != nil {
			return nil, err
		}
		x.Raw = append(x.Raw, l)
	}
	return x, nil
}
