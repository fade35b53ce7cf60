package publish

import (
	"context"
	"io"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
)

// besideGoal is an artifact beside the image as a goal.
type besideGoal struct {
	*patching
	artifact *mirror.Artifact
	apart    *apart
}

func (g *besideGoal) name() string { return g.artifact.Name }

func (g *besideGoal) self() chunkstore.ID { return g.artifact.ID }

func (g *besideGoal) base(old *mirror.Release) (id chunkstore.ID, ok bool) {
	a := old.Artifact(g.name())
	if a == nil || a.Kind != g.artifact.Kind {
		return id, false
	}
	return a.ID, true
}

// size is that of the whole artifact: what of it is new is known when both are taken apart.
func (g *besideGoal) size(context.Context, *mirror.Release) int64 { return g.artifact.Size }

func (g *besideGoal) from(ctx context.Context, old *mirror.Release) (leading, error) {
	a := old.Artifact(g.name())
	from, err := verify.Beside(ctx, g.u.store, old, a)
	if err != nil {
		return nil, &sourceError{err}
	}
	return &besideLead{
		verify.BesideLead{
			Kind: g.apart.kind, From: from, Old: patchset.FromStore(g.folder), Image: g.to,
		},
		g, a.ID,
	}, nil
}

// besideLead leads from an artifact of an old release.
type besideLead struct {
	verify.BesideLead
	goal *besideGoal
	old  chunkstore.ID // the finished file
}

func (l *besideLead) make(ctx context.Context, w io.Writer,
	progress func(done, total int64)) (*patchset.Stats, error) {
	pair := artifact.Pair{
		Kind: l.Kind, Old: l.From, New: l.goal.apart.recipe, Image: l.Image, Store: l.goal.folder,
	}
	return artifact.Make(ctx, w, pair, patchset.MakeOptions{Progress: progress})
}

func (l *besideLead) complete(_ context.Context, p *mirror.Patch) error {
	p.File = l.old
	return nil
}
