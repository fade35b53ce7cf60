package publish

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
)

// storing adds the chunks of one release to the mirror's packs.
type storing struct {
	folder      *chunkstore.Folder
	batch       *chunkstore.Batch
	raws        []chunkstore.RawList   // without locations until index
	added       map[chunkstore.ID]bool // to the batch
	out         *Result
	progress    func(done, total int64)
	done, total int64 // plain bytes
}

func (u *publisher) newStoring(ctx context.Context, in *inputs, out *Result) (*storing, error) {
	folder, err := verify.OpenPacks(ctx, u.store)
	if errors.Is(err, chunkstore.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", mirror.ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	size := u.p.PackSize
	if size == 0 {
		size = defaultPackSize
	}
	s := &storing{
		folder:   folder,
		batch:    folder.NewBatch(size),
		added:    map[chunkstore.ID]bool{},
		out:      out,
		progress: u.progress(StageStore),
	}
	if in.recipe != nil {
		for _, c := range in.recipe.DataOrder() {
			s.total += c.Size
		}
	}
	for _, f := range in.files {
		if f.kind == mirror.KindRaw || f.fallsBack() {
			s.total += f.object.Size
		}
	}
	return s, nil
}

// step tells of n plain bytes seen to.
func (s *storing) step(n int64) {
	s.done += n
	s.progress(s.done, s.total)
}

// lacks tells whether a chunk is neither on the mirror nor in the batch.
func (s *storing) lacks(c chunkstore.Chunk) bool {
	if c.IsHole() || s.added[c.ID] {
		return false
	}
	_, has := s.folder.Locate(c.ID)
	return !has
}

// add puts a chunk into the batch unless mirror or batch has it.
func (s *storing) add(c chunkstore.Chunk, plain []byte) error {
	if !s.lacks(c) {
		return nil
	}
	s.added[c.ID] = true
	return s.batch.Add(c, plain)
}

// image stores the chunks of all contents, in the order in which the image has
// them, so that what a target lacks of a pack is mostly adjacent.
func (s *storing) image(ctx context.Context, r *mkimage.Recipe, src mkimage.Source) error {
	buf := make([]byte, r.Chunking.Max)
	for _, c := range r.DataOrder() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.content(ctx, c, src, buf); err != nil {
			return fmt.Errorf("store content %s: %w", c.ID, err)
		}
		s.step(c.Size)
	}
	return nil
}

// content stores one content's chunks; it does not read a content that has no new ones.
// buf has room for the largest chunk.
func (s *storing) content(ctx context.Context, c *chunkstore.Content, src mkimage.Source,
	buf []byte) error {
	last := -1 // the last chunk to be stored
	for i, ch := range c.Chunks {
		if s.lacks(ch) {
			last = i
		}
	}
	if last < 0 {
		return nil
	}
	rd, err := src.Open(ctx, c)
	if err != nil {
		return err
	}
	defer rd.Close()
	for _, ch := range c.Chunks[:last+1] {
		if ch.IsHole() {
			if _, err := io.CopyN(io.Discard, rd, ch.Size); err != nil {
				return err
			}
			continue
		}
		plain := buf[:ch.Size]
		if _, err := io.ReadFull(rd, plain); err != nil {
			return err
		}
		if err := s.add(ch, plain); err != nil {
			return err
		}
	}
	return nil
}

// raw cuts a raw artifact and stores its chunks.
func (s *storing) raw(ctx context.Context, f *input) error {
	c, err := s.file(ctx, f, chunkstore.DefaultParams)
	if err == nil {
		s.raws = append(s.raws, chunkstore.RawList{Name: f.name, Content: c})
	}
	return err
}

// file cuts a file as p says and stores its chunks.
func (s *storing) file(ctx context.Context, f *input,
	p chunkstore.Params) (c chunkstore.Content, err error) {
	c, err = chunkstore.NewSplitter(p).Split(io.NewSectionReader(f.f, 0, f.object.Size),
		func(ch chunkstore.Chunk, plain []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.step(ch.Size)
			return s.add(ch, plain)
		})
	if err == nil && (c.ID != f.object.ID || c.Size != f.object.Size) {
		err = errors.New("the file changed while it was read")
	}
	if err != nil {
		return c, fmt.Errorf("store %s: %w", f.f.Name(), err)
	}
	return c, nil
}

// commit makes the new packs durable and visible.
func (s *storing) commit() error {
	packs, err := s.batch.Commit()
	if err != nil {
		return fmt.Errorf("store chunks: %w", err)
	}
	s.out.NewPacks = len(packs)
	for _, p := range packs {
		s.out.NewBytes += p.Size
	}
	s.out.NewChunks = s.batch.Stats().Chunks
	return nil
}

// index tells where all chunks of the release lie, as a file and as a map; r is nil without a
// squashfs image.
func (s *storing) index(r *mkimage.Recipe) ([]byte, map[chunkstore.ID]chunkstore.Location, error) {
	var image []chunkstore.Chunk
	if r != nil {
		image = r.Chunks()
	}
	x, err := s.folder.Index(image, s.raws)
	if err != nil {
		return nil, nil, err
	}
	b, err := x.MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	if len(b) > mirror.MaxIndexSize {
		return nil, nil, fmt.Errorf("%d bytes are over the limit of %d", len(b),
			mirror.MaxIndexSize)
	}
	if x, err = chunkstore.ParseIndex(b); err != nil {
		return nil, nil, fmt.Errorf("read back: %w", err)
	}
	at, err := x.Locations(image)
	if err != nil {
		return nil, nil, fmt.Errorf("read back: %w", err)
	}
	s.out.Chunks = len(at)
	return b, at, nil
}
