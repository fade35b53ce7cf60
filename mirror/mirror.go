// Package mirror is the layout of a mirror, a static folder that any web server serves, with what
// tells it from other folders ([Look]), writes it ([Publish]), serves it ([Handler]), verifies it
// ([Check]) and reads it from a target ([Client], which [NewClient] makes).
//
// A client holds bytes against hashes that its caller names. Whose hashes count is a matter of
// package trust, and what is fetched, one of package delta.
//
// Everything but the channel pointers is immutable and named by its hash or its
// version; a pointer moves last. Layout and files: doc/mirror.md.
package mirror

import (
	"errors"

	"deltaup/chunkstore"
)

var (
	// ErrExists is wrapped when a version is published again with other bytes.
	ErrExists = errors.New("the version exists with other bytes")
	// ErrBusy is wrapped when another publisher works on the mirror and waiting was not wanted.
	ErrBusy = errors.New("another publisher is at work")
	// ErrSigned is wrapped when a release would be added unsigned to a signed mirror.
	ErrSigned = errors.New("the mirror is signed, and the release would not be")
	// ErrMismatch is wrapped when an image and the recipe beside it do not belong together.
	ErrMismatch = errors.New("image and recipe do not belong together")
)

// Object names one immutable file of a mirror by the hash of its bytes.
type Object struct {
	ID   chunkstore.ID `json:"blake3"`
	Size int64         `json:"size"`
}

// objectOf is the object that these bytes are.
func objectOf(b []byte) Object { return Object{ID: chunkstore.Sum(b), Size: int64(len(b))} }

// RecipeObject is a recipe as a mirror stores it: compressed with zstd.
// Its embedded Object is that of the compressed bytes.
type RecipeObject struct {
	Object
	Plain int64 `json:"plain"` // bytes of the recipe itself
	// Text is BLAKE3-256 of the recipe itself, which is the same for everybody who derives it from
	// the image.
	Text chunkstore.ID `json:"id"`
}
