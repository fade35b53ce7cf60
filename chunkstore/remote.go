package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Remote reads chunks through a [Ranger], one request each. Who wants many plans
// ranges instead (package delta). It is as safe for concurrent use as its Ranger.
type Remote struct {
	ranger Ranger
	name   func(pack ID) string
	at     map[ID]Location
}

// NewRemote returns a store of the chunks in at, which is not copied. name gives a
// pack's name for the Ranger.
func NewRemote(r Ranger, name func(pack ID) string, at map[ID]Location) *Remote {
	return &Remote{ranger: r, name: name, at: at}
}

// Locate implements [Store].
func (r *Remote) Locate(id ID) (Location, bool) {
	l, ok := r.at[id]
	return l, ok
}

// Chunk implements [Store].
func (r *Remote) Chunk(ctx context.Context, c Chunk) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, ok := r.at[c.ID]
	if !ok {
		return nil, fmt.Errorf("chunk %s: %w", c.ID, ErrNotFound)
	}
	if err := checkFrame(c, l.Length); err != nil {
		return nil, err
	}
	name := r.name(l.Pack)
	frame, err := r.read(ctx, name, l)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %s: %w", c.ID, name, err)
	}
	plain, err := DecodeFrame(nil, frame, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, nil
}

func (r *Remote) read(ctx context.Context, name string, l Location) ([]byte, error) {
	body, err := r.ranger.ReadRange(ctx, name, l.Offset, l.Length)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, l.Length)
	_, err = io.ReadFull(body, frame)
	return frame, errors.Join(err, body.Close())
}
