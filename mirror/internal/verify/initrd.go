package verify

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/initrdset"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// ApplyInitrd reads a whole patch set as a target does, and demands that it gives all that it
// promises. from is the initrd that it leads from, whose contents old opens, image the one beside
// the initrd that it leads to.
func ApplyInitrd(ctx context.Context, file io.ReaderAt, p *mirror.InitrdPatch, from *initrd.Recipe,
	image *mkimage.Recipe, old patchset.Contents) error {
	opened, step, err := openInitrd(file, p, from, image)
	if err != nil {
		return err
	}
	known := map[chunkstore.ID]*chunkstore.Content{}
	for c := range from.Contents() {
		known[c.ID] = c
	}
	base := func(c *chunkstore.Content) (io.ReaderAt, error) { return old.Open(ctx, known[c.ID]) }
	return step.Apply(ctx, opened.stored, base,
		func(*chunkstore.Content, []byte) error { return nil })
}

func openInitrd(file io.ReaderAt, p *mirror.InitrdPatch, from *initrd.Recipe,
	image *mkimage.Recipe) (*Set, *initrdset.Set, error) {
	opened, err := OpenSet(file, p.Set, p.Head)
	if err != nil {
		return nil, nil, err
	}
	if len(opened.Head.Groups) == 0 {
		return nil, nil, fmt.Errorf("%w: it is empty", chunkstore.ErrCorrupt)
	}
	first, err := opened.stored(0)
	if err != nil {
		return nil, nil, err
	}
	step, err := initrdset.Open(opened.Head, from, image, first)
	return opened, step, err
}
