package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// pieces is what the route by stored blocks knows: how the image is cut, and where seeds have
// pieces of it as they are. It takes nothing of a seed but the bytes that it stores.
type pieces struct {
	image *blockmap.Map // nil: not fetched
	files []pieceSeed   // the seeds that are images
	at    map[blockmap.Key]pieceAt
	read  int64                 // bytes of seeds that were hashed
	lost  map[*seedMedium]int64 // places that could not be read when they were
}

// pieceSeed is an image among the seeds.
type pieceSeed struct {
	*seedMedium
	image io.ReaderAt // in it
}

// ReadAt reads from the image.
func (s pieceSeed) ReadAt(p []byte, off int64) (int, error) { return s.image.ReadAt(p, off) }

// pieceAt is where a seed has a piece.
type pieceAt struct {
	seed   pieceSeed
	offset int64
}

// read reads the piece x into buf, and holds it against its key if check is set.
func (at pieceAt) read(x blockmap.Piece, buf []byte, check bool) error {
	n, err := at.seed.ReadAt(buf, at.offset)
	if n < len(buf) || check && blockmap.KeyOf(buf) != x.Key {
		return fmt.Errorf("seed %s: %w", at.seed.Name(), because(ErrSeed, err))
	}
	return nil
}

// loadPieces fetches the image's block map and looks for its pieces in the seeds.
func (r *blocksRoute) loadPieces(ctx context.Context) error {
	u := r.u
	name := mirror.BlockmapPath(u.image.Blockmap.ID)
	stored, err := u.meta.object(ctx, name, *u.image.Blockmap, mirror.MaxBlockmapSize)
	if err != nil {
		return err
	}
	m, err := blockmap.Parse(stored, u.image.Size)
	if err != nil {
		return published(name, err)
	}
	p := &r.pieces
	if p.at == nil {
		p.at = map[blockmap.Key]pieceAt{}
		start := time.Now()
		for _, path := range u.r.Seeds {
			if err := p.addSeed(ctx, path, &u.events); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				u.events.unusableSeed(path, err)
			}
		}
		if u.r.Copy != "" {
			if err := p.addCopy(ctx, u.r.Copy, m, &u.events); err != nil {
				return fmt.Errorf("seed %s: %w", u.r.Copy, err)
			}
		}
		if p.read > 0 && u.machine.cpu.Scan <= 0 {
			u.machine.cpu.Scan = float64(p.read) / time.Since(start).Seconds()
		}
	}
	p.lost = map[*seedMedium]int64{}
	for _, f := range p.files {
		p.lost[f.seedMedium] = f.lost.Load()
	}
	p.image = m
	p.keep()
	return nil
}

// addSeed hashes the pieces of a seed. One that is no image has none; of a damaged one those that
// can be read are used.
func (p *pieces) addSeed(ctx context.Context, path string, e *events) error {
	medium, err := openMedium(path)
	if err != nil {
		return err
	}
	f := pieceSeed{seedMedium: medium}
	p.files = append(p.files, f)
	m, err := squashfs.Find(medium, medium.size())
	if errors.Is(err, squashfs.ErrCorrupt) || errors.Is(err, squashfs.ErrUnsupported) {
		return nil // noteSeeds has told
	}
	if err != nil {
		return err
	}
	f.image = m
	used := m.Info().BytesUsed
	counted := &countedReads{m, &counter{total: used, stage: StageSeed, of: path, events: e}}
	seed, bad, err := blockmap.Scan(ctx, m, counted, used)
	if err != nil {
		return err
	}
	p.read += used
	for i := range seed.Len() {
		if x := seed.Piece(i); x.Key != 0 {
			p.at[x.Key] = pieceAt{f, x.Offset}
		}
	}
	if bad += int(medium.lost.Load()); bad > 0 {
		e.harmed(path, "is damaged: %d places in it cannot be read and are not used", bad)
	}
	return nil
}

// addCopy takes the pieces of m, the image's map, that a damaged copy of the image has where the
// image has them. Not even its superblock has to be right.
func (p *pieces) addCopy(ctx context.Context, path string, m *blockmap.Map, e *events) error {
	medium, err := openMedium(path)
	if err != nil {
		return err
	}
	f := pieceSeed{medium, medium}
	p.files = append(p.files, f)
	read := &countedReads{f, &counter{total: m.Size(), stage: StageSeed, of: path, events: e}}
	var mu sync.Mutex
	err = eachPiece(ctx, m, func(_ context.Context, x blockmap.Piece, buf []byte) error {
		n, err := read.ReadAt(buf, x.Offset)
		if n < len(buf) || blockmap.KeyOf(buf) != x.Key {
			if errors.Is(err, io.EOF) || errors.Is(err, errUnreadable) {
				err = nil
			}
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		p.at[x.Key] = pieceAt{f, x.Offset}
		return nil
	})
	p.read += m.Size()
	return err
}

// keep forgets what the image has no use for.
func (p *pieces) keep() {
	needed := make(map[blockmap.Key]pieceAt)
	for i := range p.image.Len() {
		key := p.image.Piece(i).Key
		if at, ok := p.at[key]; ok {
			needed[key] = at
		}
	}
	p.at = needed
}

// lacking gives the pieces that no seed has.
func (p *pieces) lacking(yield func(blockmap.Piece) bool) {
	for i := range p.image.Len() {
		x := p.image.Piece(i)
		if _, ok := p.at[x.Key]; !ok && !yield(x) {
			return
		}
	}
}

func (p *pieces) close() error {
	var err error
	for _, f := range p.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// countedReads tells how far reading has come.
type countedReads struct {
	io.ReaderAt
	total *counter
}

func (r *countedReads) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	r.total.add(int64(n))
	return n, err
}

// each calls fn for all pieces of the image, as eachPiece does.
func (p *pieces) each(ctx context.Context,
	fn func(ctx context.Context, x blockmap.Piece, buf []byte) error) error {
	return eachPiece(ctx, p.image, fn)
}

func pieceExtent(x blockmap.Piece) delta.Extent {
	return delta.Extent{Offset: x.Offset, Length: int64(x.Length)}
}

// pieceBuffers are *[]byte that hold a piece.
var pieceBuffers = sync.Pool{New: func() any { b := make([]byte, blockmap.PieceMax); return &b }}

// eachPiece calls fn for all pieces, in about the order in which they lie, on all processors, with
// a buffer of the piece's length.
func eachPiece(ctx context.Context, m *blockmap.Map,
	fn func(ctx context.Context, x blockmap.Piece, buf []byte) error) error {
	const batch = 16
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < m.Len() && groupCtx.Err() == nil; first += batch {
		g.Go(func() error {
			buf := pieceBuffers.Get().(*[]byte)
			defer pieceBuffers.Put(buf)
			for i := first; i < min(first+batch, m.Len()); i++ {
				x := m.Piece(i)
				if err := fn(groupCtx, x, (*buf)[:x.Length]); err != nil {
					return err
				}
			}
			return groupCtx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
