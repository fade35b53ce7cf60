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

func (g *besideGoal) amounts(ctx context.Context, old *mirror.Release) (patchset.Amounts, error) {
	from, err := verify.Beside(ctx, g.u.store, old, old.Artifact(g.name()))
	if err != nil {
		return patchset.Amounts{}, err
	}
	return g.pair(from).Amounts()
}

// pair is the artifact and an older one.
func (g *besideGoal) pair(old artifact.Recipe) *artifact.Pair {
	return &artifact.Pair{
		Kind: g.apart.kind, Old: old, New: g.apart.recipe, Image: g.to, Store: g.folder,
	}
}

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
	progress func(patchset.Progress)) (*patchset.Stats, error) {
	return artifact.Make(ctx, w, *l.goal.pair(l.From), patchset.MakeOptions{Progress: progress})
}

func (l *besideLead) complete(_ context.Context, p *mirror.Patch) error {
	p.File = l.old
	return nil
}
