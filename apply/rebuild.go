package apply

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// rebuilding is what the routes have in common that build the image from contents, as the recipe
// says, and copy the blocks of the seeds that did not change.
type rebuilding struct{ u *Update }

func (r *rebuilding) traits() traits { return traits{readsFiles: true} }

func (r *rebuilding) laysCopy() bool { return false }

func (r *rebuilding) describe(*Quote) {}

// verify has nothing to do where all comes by chunks.
func (r *rebuilding) verify(context.Context) ([]badExtent, error) { return nil, nil }

func (r *rebuilding) lost(delta.File, error) bool { return false }

// failed first does without the blocks that were made beside fetching, which nothing has proved.
func (r *rebuilding) failed(ctx context.Context, err error, result *Result) error {
	u := r.u
	if errors.Is(err, slotwriter.ErrOtherImage) && u.made != nil && !u.made.Empty() {
		u.events.warn("%v; making its blocks once more", err)
		return u.dropMade()
	}
	return u.otherImage(ctx, err, result)
}

// making has no chain where all comes by chunks.
func (r *rebuilding) making() *chain { return nil }

// build makes the image from contents and blocks. Chain, unless nil, gives what it can.
func (r *rebuilding) build(ctx context.Context, chain *chain,
	result *Result) (*slotwriter.Held, error) {
	u := r.u
	return u.fill(ctx, true, func(ctx context.Context, w io.WriterAt) error {
		src := r.source(chain)
		made, _ := src.(*withMade)
		stats, err := mkimage.Build(ctx, u.recipe, src, w, mkimage.BuildOptions{
			Memory:   u.encoderMemory(chain),
			Encoders: u.machine.encoders,
			Progress: func(done, total int64) {
				u.events.progress(StageRebuild, mirror.ImageName, done, total)
			},
		})
		result.BlocksCopied, result.BlocksCompressed = stats.BlocksCopied, stats.BlocksCompressed
		if made != nil {
			result.BlocksCopied -= made.used
			result.BlocksCompressed += made.used
		}
		if errors.Is(err, mkimage.ErrContent) && !errors.Is(err, ErrSeed) {
			// Seeds and frames are verified before Build sees them: it is the recipe that
			// contradicts itself.
			return fmt.Errorf("%w: %w", slotwriter.ErrOtherImage, err)
		}
		if err != nil {
			return fmt.Errorf("rebuild into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
}

// source gives what the image is built from.
func (r *rebuilding) source(chain *chain) mkimage.Source {
	u := r.u
	src := newSource(u.seeds, u.state.Cache, u.at, u.recipe)
	src.chain = chain
	var all mkimage.Source = src
	if !u.noCopies {
		all = withStored(src)
	}
	if u.made == nil || u.made.Empty() {
		return all
	}
	stored, _ := all.(mkimage.Stored)
	return &withMade{Source: all, stored: stored, made: u.made}
}
