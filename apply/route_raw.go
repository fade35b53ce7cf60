package apply

import (
	"context"
	"errors"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/delta"
	"deltaup/mirror"
)

// rawRoute is the only route to an image that was published raw: it has no recipe, so that its
// chunks are among those of the other artifacts. It makes no offer, and quotes call it chunks.
type rawRoute struct{ u *Update }

func (r *rawRoute) name() delta.Route { return "chunks" }

func (r *rawRoute) traits() traits { return traits{readsFiles: true} }

func (r *rawRoute) laysCopy() bool { return false }

func (r *rawRoute) offer(lacking) delta.Offer { return delta.Offer{Route: r.name()} }

func (r *rawRoute) guess(l lacking) delta.Offer { return r.offer(l) }

func (r *rawRoute) load(context.Context) error { return nil }

func (r *rawRoute) describe(*Quote) {}

func (r *rawRoute) verify(context.Context) ([]badExtent, error) { return nil, nil }

// write puts the image together from its chunks.
func (r *rawRoute) write(ctx context.Context, _ *Result, _ *counter) (*slotwriter.Held, error) {
	u := r.u
	held, err := u.copyInto(ctx, func(write func(p []byte, off int64) error) error {
		content, err := newSource(u.seeds, u.state.Cache, u.at, nil).Open(ctx, u.rawImage)
		if err != nil {
			return err
		}
		defer content.Close() // read only
		buf := make([]byte, 1<<20)
		for off := int64(0); ; {
			n, err := io.ReadFull(content, buf)
			if n > 0 {
				if err := write(buf[:n], off); err != nil {
					return err
				}
				off += int64(n)
			}
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if errors.Is(err, slotwriter.ErrOtherImage) { // each chunk is right, so the list is not
		err = published(mirror.IndexPath(u.release.Index.ID), err)
	}
	return held, err
}

func (r *rawRoute) lost(delta.File, error) bool { return false }

// failed ends the run: there is nothing else to be tried.
func (r *rawRoute) failed(_ context.Context, err error, _ *Result) error { return err }
