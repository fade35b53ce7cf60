package mkimage

import (
	"context"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// DeriveOptions says how to derive; the zero value is usable.
type DeriveOptions struct {
	Workers  int                     // reading goroutines; 0: GOMAXPROCS
	Tolerant bool                    // leave out files that can't be read, and list them, instead of failing
	Progress func(done, total int64) // plain bytes read; called by one goroutine at a time
}

// Derived is a recipe that was made from an image, and the way back to the image's bytes.
type Derived struct {
	Recipe     *Recipe      // Codec is "" when the image does not tell; then Build refuses it
	Unreadable []Unreadable // with DeriveOptions.Tolerant: files that are not in Recipe
}

// Unreadable is a file of a damaged image.
type Unreadable struct {
	Path string
	Err  error
}

// Derive reads all of m once and gives its recipe, contents cut by params (zero: as the
// image says, else the default). For an image made by Build the recipe equals the original.
func Derive(ctx context.Context, m *squashfs.Image, params chunkstore.Params, o DeriveOptions) (*Derived, error) {
	panic("unbuilt")
}

// File opens the content with this id for random access; fs.ErrNotExist is wrapped when
// the image has none. What it reads is not verified.
func (d *Derived) File(id chunkstore.ID) (*squashfs.File, error) { panic("unbuilt") }

// Source reads contents from the image. It implements [Stored] too when the image was made
// with r's codec and block size, so that Build(r) can copy its blocks; r nil: no Stored.
func (d *Derived) Source(r *Recipe) Source { panic("unbuilt") }
