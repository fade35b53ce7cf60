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

func (r *rebuilding) failed(ctx context.Context, err error, result *Result) error {
	return r.u.otherImage(ctx, err, result)
}

// build makes the image from contents and blocks. Chain, unless nil, gives what it can.
func (r *rebuilding) build(ctx context.Context, chain *chain,
	result *Result) (*slotwriter.Held, error) {
	u := r.u
	return u.fill(ctx, true, func(ctx context.Context, w io.WriterAt) error {
		stats, err := mkimage.Build(ctx, u.recipe, r.source(chain), w, mkimage.BuildOptions{
			Memory:   encoderMemory(u.seeds, u.recipe, chain),
			Encoders: u.machine.encoders,
			Progress: func(done, total int64) {
				u.events.progress(StageRebuild, mirror.ImageName, done, total)
			},
		})
		result.BlocksCopied, result.BlocksCompressed = stats.BlocksCopied, stats.BlocksCompressed
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
	if u.noCopies {
		return src
	}
	return withStored(src)
}
