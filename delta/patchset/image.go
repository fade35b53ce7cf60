package patchset

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// FromImage opens contents of an image.
func FromImage(d *mkimage.Derived) Contents { return imageContents{d} }

type imageContents struct{ d *mkimage.Derived }

func (i imageContents) Open(_ context.Context, c *chunkstore.Content) (Reading, error) {
	f, err := i.d.File(c.ID)
	if err != nil {
		return nil, err
	}
	return fileReading{f}, nil
}

// fileReading is a file in an image, which needs no closing.
type fileReading struct{ io.ReaderAt }

func (fileReading) Close() error { return nil }
