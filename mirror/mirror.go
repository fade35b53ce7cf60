// Package mirror is the layout of a mirror, a static folder that any web server
// serves, with what writes it ([Publish]), serves it ([Handler]), verifies it
// ([Check]) and reads it from a target ([Client]).
//
// Everything but the channel pointers is immutable and named by its hash or its
// version; a pointer moves last. Layout and files: doc/mirror.md.
package mirror

import "deltaup/chunkstore"

// Object names one immutable file of a mirror by the hash of its bytes.
type Object struct {
	ID   chunkstore.ID `json:"blake3"`
	Size int64         `json:"size"`
}

// Artifact kinds.
const (
	KindSquashfs = "squashfs" // rebuilt from a recipe
	KindRaw      = "raw"      // put together from its chunks
)

// Artifact is one file of a release.
type Artifact struct {
	Name   string  `json:"name"` // "image", "kernel", "initrd", or the publisher's own
	Kind   string  `json:"kind"`
	Object         // the finished file's hash and size; a squashfs image also lies whole at images/
	Recipe *Object `json:"recipe,omitempty"` // KindSquashfs: the stored (zstd) recipe
}

// Release is the file releases/VERSION.json.
type Release struct {
	Format     int        `json:"format"` // 1
	Version    string     `json:"version"`
	Compatible string     `json:"compatible,omitempty"`
	Artifacts  []Artifact `json:"artifacts"`
	Index      Object     `json:"index"` // chunkstore.Index: where all chunks of all artifacts lie
}

// Pointer is the file channels/NAME.json, the only kind that changes.
type Pointer struct {
	Format  int    `json:"format"` // 1
	Channel string `json:"channel"`
	Version string `json:"version"`
	Release Object `json:"release"`
}
