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
	took  time.Duration         // that this took
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
		for _, path := range u.r.Seeds {
			if err := p.addSeed(ctx, path, u.r.Early.scan(path), &u.events); ctx.Err() != nil {
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
			u.machine.cpu.Scan = float64(p.read) / p.took.Seconds()
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

// addSeed takes the pieces of a seed. One that is no image has none; of a damaged one those that
// can be read are used. Scan, unless nil, is what is known of it.
func (p *pieces) addSeed(ctx context.Context, path string, scan *pieceScan, e *events) error {
	if scan == nil {
		var err error
		if scan, err = scanPieces(ctx, path, e); scan == nil {
			return err
		} else if err != nil {
			return errors.Join(err, scan.medium.Close())
		}
	}
	f := pieceSeed{seedMedium: scan.medium}
	if scan.image != nil {
		f.image = scan.image
	}
	p.files = append(p.files, f)
	if scan.image == nil {
		return nil
	}
	p.read += scan.image.Info().BytesUsed
	p.took += scan.took
	for i := range scan.pieces.Len() {
		if x := scan.pieces.Piece(i); x.Key != 0 {
			p.at[x.Key] = pieceAt{f, x.Offset}
		}
	}
	if bad := scan.bad + int(scan.medium.lost.Load()); bad > 0 {
		e.harmed(path, "is damaged: %d places in it cannot be read and are not used", bad)
	}
	return nil
}

// pieceScan is the pieces that a seed stores.
type pieceScan struct {
	medium *seedMedium
	image  *squashfs.Image // nil: there is none, and no pieces
	pieces *blockmap.Map
	bad    int // pieces that cannot be read
	took   time.Duration
}

// scanPieces hashes the pieces of a seed. The result may be there beside an error, to be closed.
func scanPieces(ctx context.Context, path string, e *events) (*pieceScan, error) {
	start := time.Now()
	medium, err := openMedium(path)
	if err != nil {
		return nil, err
	}
	s := &pieceScan{medium: medium}
	m, err := squashfs.Find(medium, medium.size())
	if errors.Is(err, squashfs.ErrCorrupt) || errors.Is(err, squashfs.ErrUnsupported) {
		return s, nil // noteSeeds has told
	}
	if err != nil {
		return s, err
	}
	used := m.Info().BytesUsed
	counted := &countedReads{m, &counter{total: used, stage: StageSeed, of: path, events: e}}
	if s.pieces, s.bad, err = blockmap.Scan(ctx, m, counted, used); err != nil {
		return s, err
	}
	s.image, s.took = m, time.Since(start)
	return s, nil
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
	start := time.Now()
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
	p.took += time.Since(start)
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
