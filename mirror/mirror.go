// Package mirror is the format of a mirror, a static folder that any web server or object store
// serves: releases, pointers, where each file lies, which names and sizes are permitted.
//
// Below it, package publish writes a mirror, client reads it from a target, check verifies it,
// serve serves it, and folder knows one that lies in a folder of this machine. Whose hashes count
// is a matter of package trust, and what is fetched, one of package delta.
//
// Everything but the channel pointers and the signed timestamp is immutable and named by its hash
// or its version; a pointer moves last. Layout and files: doc/mirror.md.
package mirror

import (
	"deltaup/chunkstore"
)

// Object names one immutable file of a mirror by the hash of its bytes.
type Object struct {
	ID   chunkstore.ID `json:"blake3"`
	Size int64         `json:"size"`
}

// ObjectOf is the object that these bytes are.
func ObjectOf(b []byte) Object { return Object{ID: chunkstore.Sum(b), Size: int64(len(b))} }

// RecipeObject is a recipe as a mirror stores it: compressed with zstd. Its embedded Object is that
// of the compressed bytes.
type RecipeObject struct {
	Object
	Plain int64 `json:"plain"` // bytes of the recipe itself
	// Text is BLAKE3-256 of the recipe itself, which is the same for everybody who derives it from
	// the image.
	Text chunkstore.ID `json:"id"`
}
