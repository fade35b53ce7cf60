package apply

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/mirror"
)

// write writes and proves the image, all but its superblock, unless that was done beside fetching.
func (u *Update) write(ctx context.Context, result *Result) (*slotwriter.Held, error) {
	if w := u.written; w != nil {
		result.Route, result.BlocksCopied = w.result.Route, w.result.BlocksCopied
		return w.held, nil
	}
	result.Route = string(u.route.name())
	return u.route.write(ctx, result, nil)
}

// otherImage decides what to do after an error of writing the image. An image that is not the
// published one is built once more without copied blocks, which nothing else has proved. Then it is
// fetched whole. When nothing is left to be tried, otherImage returns the error.
func (u *Update) otherImage(ctx context.Context, err error, result *Result) error {
	switch copied := result.BlocksCopied > 0; {
	case !errors.Is(err, slotwriter.ErrOtherImage):
		return u.giveUp(ctx, err)
	case u.seeds.useKept():
		return &keptError{err}
	case copied && !u.noCopies:
		u.events.warn("%v; rebuilding it without copied blocks", err)
		u.noCopies = true
	default:
		u.events.warn("%v; fetching it whole", err)
		for _, r := range u.table {
			if !r.traits().proven {
				u.closed[r.name()] = err
			}
		}
	}
	return nil
}

// fill has write write the image to the slot, all but its head, and proves it meanwhile.
func (u *Update) fill(ctx context.Context, inOrder bool,
	write func(context.Context, io.WriterAt) error) (*slotwriter.Held, error) {
	o := slotwriter.Options{
		InOrder:  inOrder,
		ReadBack: u.r.ReadBack,
		Progress: func(done, total int64) { // until all is written the stage is another one
			u.events.progress(StageVerify, mirror.ImageName, done, total)
		},
	}
	image := slotwriter.Image{ID: u.image.ID, Size: u.image.Size}
	return slotwriter.Fill(ctx, u.r.Slot, image, o, write)
}

// copyInto writes and proves an image that needs no building.
func (u *Update) copyInto(ctx context.Context,
	image func(write func(p []byte, off int64) error) error) (*slotwriter.Held, error) {
	return u.fill(ctx, true, func(ctx context.Context, w io.WriterAt) error {
		err := image(func(p []byte, off int64) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := w.WriteAt(p, off)
			u.events.progress(StageRebuild, mirror.ImageName, off+int64(len(p)), u.image.Size)
			return err
		})
		if err != nil {
			return fmt.Errorf("copy into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
}

// writeOutputs writes the artifacts. Image is the one in the slot, nil when none was written.
func (u *Update) writeOutputs(ctx context.Context, image *slotwriter.Held) error {
	src := newSource(u.seeds, u.state.Cache, u.at, nil)
	for i := range u.outputs {
		o := &u.outputs[i]
		err := o.write(func(w io.Writer) error { return u.content(ctx, o, image, src, w) })
		if err != nil {
			return fmt.Errorf("artifact %s to %s: %w", o.artifact.Name, o.path, err)
		}
	}
	return nil
}

// makeBootable writes the superblock, and keeps for the next quote how quickly the slot took the
// image.
func (u *Update) makeBootable(image *slotwriter.Held) error {
	if err := image.Release(); err != nil {
		return err
	}
	if busy := image.Busy(); busy > 0 {
		if err := u.state.LearnWrite(u.image.Size, busy); err != nil {
			u.events.warn("state folder %s: %v", u.state.Name(), err)
		}
	}
	return nil
}
