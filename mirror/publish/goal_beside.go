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
	olds     map[chunkstore.ID]*verify.Old // that were read, by their files
}

func (g *besideGoal) close() {
	for _, old := range g.olds {
		old.Close()
	}
}

func (g *besideGoal) name() string { return g.artifact.Name }

func (g *besideGoal) self() chunkstore.ID { return g.artifact.ID }

func (g *besideGoal) base(old *mirror.Release) (id chunkstore.ID, ok bool) {
	a := old.Before(g.name())
	if a == nil {
		return id, false
	}
	return a.ID, true
}

// old reads what a set from an old release leads from.
func (g *besideGoal) old(ctx context.Context, r *mirror.Release) (*verify.Old, error) {
	a := r.Before(g.name())
	if old := g.olds[a.ID]; old != nil {
		return old, nil
	}
	x := verify.OldReader{Files: g.u.store, Packs: patchset.FromStore(g.folder),
		Temp: func(ctx context.Context) (verify.Temp, error) { return g.u.store.Create(ctx) }}
	old, err := x.Beside(ctx, r, a)
	if err == nil {
		g.olds[a.ID] = old
	}
	return old, err
}

func (g *besideGoal) amounts(ctx context.Context, old *mirror.Release) (patchset.Amounts, error) {
	from, err := g.old(ctx, old)
	if err != nil {
		return patchset.Amounts{}, err
	}
	return g.pair(from).Amounts()
}

// pair is the artifact and an older one.
func (g *besideGoal) pair(old *verify.Old) *artifact.Pair {
	return &artifact.Pair{
		Kind: g.apart.kind, Old: old.Recipe, New: g.apart.recipe, Image: g.to,
		OldContents: old.Contents, Store: g.folder,
	}
}

func (g *besideGoal) from(ctx context.Context, old *mirror.Release) (leading, error) {
	from, err := g.old(ctx, old)
	if err != nil {
		return nil, &sourceError{err}
	}
	return &besideLead{
		verify.BesideLead{
			Kind: g.apart.kind, From: from.Recipe, Old: from.Contents, Image: g.to,
			To: g.apart.recipe,
		},
		g, from, old.Before(g.name()).ID,
	}, nil
}

// besideLead leads from an artifact of an old release.
type besideLead struct {
	verify.BesideLead
	goal *besideGoal
	from *verify.Old
	old  chunkstore.ID // the finished file
}

func (l *besideLead) make(ctx context.Context, w io.Writer,
	progress func(patchset.Progress)) (*patchset.Stats, error) {
	return artifact.Make(ctx, w, *l.goal.pair(l.from), patchset.MakeOptions{
		Progress: progress, Cache: l.goal.u.p.Cache,
	})
}

func (l *besideLead) complete(_ context.Context, p *mirror.Patch) error {
	p.File = l.old
	return nil
}
