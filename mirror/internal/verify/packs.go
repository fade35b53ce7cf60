package verify

import (
	"context"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// OpenPacks opens the packs of a mirror. ctx ends all that is done with them.
func OpenPacks(ctx context.Context, s mirror.Store) (*chunkstore.Folder, error) {
	return chunkstore.OpenPacks(&packs{ctx, s})
}

// packs are a mirror's packs. It keeps a context, because a [chunkstore.Folder] opens packs in the
// middle of an io.Reader, which takes none. It lives no longer than the run that the context is of.
type packs struct {
	ctx   context.Context
	store mirror.Store
}

func (p *packs) Name(id chunkstore.ID) string { return p.store.String() + "/" + mirror.PackPath(id) }

func (p *packs) List() ([]chunkstore.ID, error) {
	entries, err := p.store.List(p.ctx, mirror.PacksDir)
	if err != nil {
		return nil, err
	}
	var ids []chunkstore.ID
	for _, e := range entries {
		if id, ok := chunkstore.ParsePackPath(strings.TrimPrefix(e.Name, mirror.PacksDir+"/")); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (p *packs) Open(id chunkstore.ID) (chunkstore.PackFile, error) {
	return p.store.Open(p.ctx, mirror.PackPath(id))
}

func (p *packs) Create() (chunkstore.PackDraft, error) {
	d, err := p.store.Create(p.ctx)
	if err != nil {
		return nil, err
	}
	return &packDraft{d, p.ctx}, nil
}

// packDraft lives in the same run as packs.
type packDraft struct {
	mirror.Draft
	ctx context.Context
}

func (d *packDraft) Commit(id chunkstore.ID) error {
	return d.Draft.Commit(d.ctx, mirror.PackPath(id))
}
