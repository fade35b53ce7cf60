package chunkstore

import "context"

// Folder is a folder of packs, DIR/ab/abcd….pack, as a publisher keeps them. Its
// read side is safe for concurrent use, also while a Batch is being filled.
type Folder struct{}

// OpenFolder reads the tables of all packs below dir, which need not exist yet.
// New packs are written to tmp first, a folder on the same file system.
func OpenFolder(dir, tmp string) (*Folder, error) { panic("unbuilt") }

// Chunk implements [Store].
func (f *Folder) Chunk(ctx context.Context, c Chunk) ([]byte, error) { panic("unbuilt") }

// Locate implements [Store]. It knows what has been committed.
func (f *Folder) Locate(id ID) (Location, bool) { panic("unbuilt") }

// Packs returns all packs, sorted by id.
func (f *Folder) Packs() []PackRef { panic("unbuilt") }

// Index makes the index of a release whose chunks have all been committed: image
// are those of the recipe (Recipe.Chunks), raw the other artifacts (their Locations
// are filled in). A chunk that the folder lacks is [ErrNotFound].
func (f *Folder) Index(image []Chunk, raw []RawList) (*Index, error) { panic("unbuilt") }

// NewBatch starts adding chunks; each new pack holds about target bytes.
func (f *Folder) NewBatch(target int64) *Batch { panic("unbuilt") }
