package chunkstore

// Batch adds chunks to a [Folder]. It is for one goroutine, compresses on all
// processors, and ends in Commit or Abort.
type Batch struct{}

// BatchStats counts what a batch added.
type BatchStats struct {
	Chunks int
	Plain  int64 // bytes of these chunks
	Stored int64 // bytes of their frames
}

// Add adds c unless folder or batch has it already; plain is verified against c and not kept.
func (b *Batch) Add(c Chunk, plain []byte) error { panic("unbuilt") }

// Commit makes the new packs durable and then visible to the folder's readers. On
// an error some packs may be there; they are valid and are used by the next batch of a newly opened folder.
func (b *Batch) Commit() (added []PackRef, err error) { panic("unbuilt") }

// Abort gives the batch up and removes its temporary files. After Commit it does nothing, so that it can be deferred.
func (b *Batch) Abort() { panic("unbuilt") }

// Stats tells what Commit adds or has added.
func (b *Batch) Stats() BatchStats { panic("unbuilt") }
