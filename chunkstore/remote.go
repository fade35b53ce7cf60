package chunkstore

import "context"

// Remote reads chunks through a [Ranger], one request each. Who wants many plans
// ranges instead (package delta).
type Remote struct{}

// NewRemote returns a store of the chunks in at. name gives a pack's name for the Ranger.
func NewRemote(r Ranger, name func(pack ID) string, at map[ID]Location) *Remote { panic("unbuilt") }

// Chunk implements [Store].
func (r *Remote) Chunk(ctx context.Context, c Chunk) ([]byte, error) { panic("unbuilt") }

// Locate implements [Store].
func (r *Remote) Locate(id ID) (Location, bool) { panic("unbuilt") }
