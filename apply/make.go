package apply

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"deltaup/apply/madeblocks"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// making makes blocks of the image while what the others need is still fetched: of each part of the
// image as soon as its groups and chunks are there. They wait in the state folder until everything
// is. It only saves time. What it cannot make, for whatever reason, the rebuild makes as if there
// were no making, and finds out what is wrong.
type making struct {
	u      *Update
	src    *source
	store  *madeblocks.Store
	memory *semaphore.Weighted // for what is patched at once
	most   int64               // of memory
	room   atomic.Int64        // bytes of the state folder that may be taken
	done   *counter            // plain bytes

	mu      sync.Mutex
	pending []*part // in the image's order
	filling []*part // that need nothing of the mirror: for while nothing else can be made
	there   map[delta.Piece]bool
	fetched bool // nothing is on its way any more

	cancel context.CancelFunc
	ended  chan struct{}
}

// part is blocks of the image that are made together: a fragment block, a content, or what one
// entry of a patch set makes of a large content.
type part struct {
	contents []*chunkstore.Content
	key      chunkstore.ID
	fragment bool
	first    int   // number of its first block
	size     int64 // plain bytes
	memory   int64 // that it takes to patch them
	pieces   []delta.Piece
}

// maker is a route whose blocks can be made while it fetches. Its chain, unless nil, gives what it
// can.
type maker interface{ making() *chain }

// errFull means that made blocks have no more room in the state folder.
var errFull = errors.New("no room for more blocks")

// searchedParts is how many parts are looked at to find one that can be made: bytes come about in
// the order in which the image needs them.
const searchedParts = 64

// makeBeside begins to make blocks of the image beside fetching. It returns nil when there is
// nothing to be made, or no room.
func (u *Update) makeBeside(ctx context.Context) *making {
	route, ok := u.route.(maker)
	if !ok || u.image == nil || u.recipe == nil || u.noMaking {
		return nil
	}
	chain := route.making()
	m := &making{
		u:     u,
		src:   newSource(u.seeds, u.state.Cache, u.at, u.recipe),
		store: u.madeBlocks(),
		most:  chain.largest(),
		done:  &counter{stage: StageMake, of: mirror.ImageName, events: &u.events},
		there: map[delta.Piece]bool{},
		ended: make(chan struct{}),
	}
	m.src.chain = chain
	m.memory = semaphore.NewWeighted(m.most)
	room, err := u.madeRoom()
	if err != nil || room <= 0 || m.store == nil {
		return nil
	}
	m.room.Store(room)
	m.list()
	if len(m.pending)+len(m.filling) == 0 {
		return nil
	}
	ctx, m.cancel = context.WithCancel(ctx)
	options := mkimage.BuildOptions{
		Memory:   u.encoderMemory(chain),
		Encoders: u.machine.encoders,
	}
	recipe := u.recipe
	go func() {
		defer close(m.ended)
		if err := mkimage.Make(ctx, recipe, m.next, options); errors.Is(err, errFull) {
			u.events.warn("the state folder has no room for more blocks of the image: the rest of " +
				"them is made when all is fetched")
		}
	}()
	return m
}

// end waits for what can still be made when everything was fetched, and otherwise stops at once.
func (m *making) end(fetched bool) {
	if m == nil {
		return
	}
	if !fetched {
		m.cancel()
	}
	m.mu.Lock()
	m.fetched = true
	m.mu.Unlock()
	m.u.state.Cache.Wake()
	<-m.ended
	m.cancel()
}

// next waits for a part that can be made.
func (m *making) next(ctx context.Context) (*mkimage.Portion, error) {
	var p *part
	err := m.u.state.Cache.Await(ctx, func() bool {
		var over bool
		p, over = m.ready()
		return p != nil || over
	})
	if err != nil || p == nil {
		return nil, err
	}
	if err := m.memory.Acquire(ctx, p.memory); err != nil {
		return nil, err
	}
	return &mkimage.Portion{
		Size:     p.size,
		Fragment: p.fragment,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			return m.open(ctx, p)
		},
		Lacks: func(n int) bool { return !m.store.Has(p.key, p.first+n) },
		Keep: func(n int, stored []byte, compressed bool) error {
			if m.room.Add(-madeblocks.RecordSize(len(stored))) < 0 {
				return errFull
			}
			if err := m.store.Put(p.key, p.first+n, stored, compressed); err != nil {
				return errors.Join(errFull, err)
			}
			m.done.add(min(p.size-int64(n)*m.blockSize(), m.blockSize()))
			return nil
		},
		Read: func(error) { m.memory.Release(p.memory) },
	}, nil
}

func (m *making) blockSize() int64 { return int64(m.u.recipe.BlockSize) }

// ready takes a part whose groups and chunks are all there. over tells that none will be any more.
func (m *making) ready() (p *part, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	search := m.pending
	if !m.fetched {
		search = search[:min(len(search), searchedParts)]
	}
	for i, p := range search {
		if m.has(p.pieces) {
			m.pending = slices.Delete(m.pending, i, i+1)
			return p, false
		}
	}
	if n := len(m.filling); n > 0 {
		p, m.filling = m.filling[n-1], m.filling[:n-1]
		return p, false
	}
	return nil, m.fetched || len(m.pending) == 0
}

// has tells whether all pieces are in the cache.
func (m *making) has(pieces []delta.Piece) bool {
	for _, x := range pieces {
		if !m.there[x] {
			if m.u.state.Cache.Lacks(x.File.ID, x.Extent) > 0 {
				return false
			}
			m.there[x] = true
		}
	}
	return true
}

// open gives the plain bytes of a part. What the source gives it has verified.
func (m *making) open(ctx context.Context, p *part) (io.ReadCloser, error) {
	if p.first > 0 { // of a large content that is made in pieces
		id := p.contents[0].ID
		s, before := m.src.chain.maker(id, len(m.src.chain.sets))
		r := m.src.chain.made(ctx, s, before, id)
		return io.NopCloser(io.NewSectionReader(r, int64(p.first)*m.blockSize(), p.size)), nil
	}
	return &contents{ctx: ctx, src: m.src, left: p.contents}, nil
}

// contents reads contents one after another.
type contents struct {
	ctx  context.Context
	src  mkimage.Source
	left []*chunkstore.Content
	in   io.ReadCloser // nil: the next one is not open
}

// Read implements io.Reader.
func (r *contents) Read(p []byte) (int, error) {
	for len(r.left) > 0 {
		if r.in == nil {
			var err error
			if r.in, err = r.src.Open(r.ctx, r.left[0]); err != nil {
				return 0, err
			}
		}
		n, err := r.in.Read(p)
		if err != io.EOF {
			return n, err
		}
		r.Close()
		r.left = r.left[1:]
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// Close implements io.Closer.
func (r *contents) Close() error {
	if r.in != nil {
		r.in.Close() // read only
		r.in = nil
	}
	return nil
}

// list finds the parts of the image that no seed and no earlier run has as they are stored.
func (m *making) list() {
	u := m.u
	stored := u.storedStretches()
	ahead := map[chunkstore.ID]bool{}
	if c := m.src.chain; c != nil {
		for _, a := range c.ahead(u.patch.lacks()) {
			ahead[a.id] = true
		}
	}
	total := int64(0)
	for _, s := range u.recipe.Layout() {
		key := s.Key()
		if stored[key] {
			continue
		}
		for _, p := range m.parts(&s, key, ahead) {
			total += p.size
			switch {
			case m.made(p):
				m.done.done.Add(p.size)
			case len(p.pieces) == 0:
				m.filling = append(m.filling, p)
			default:
				m.pending = append(m.pending, p)
			}
		}
	}
	m.done.total = total
}

// made tells whether an earlier run has made a part.
func (m *making) made(p *part) bool {
	for n := int64(0); n*m.blockSize() < p.size; n++ {
		if !m.store.Has(p.key, p.first+int(n)) {
			return false
		}
	}
	return true
}

// parts gives the parts of a stretch; none when a content of it is made by a step, or comes in a
// way that takes more than one goroutine may.
func (m *making) parts(s *mkimage.Stretch, key chunkstore.ID,
	ahead map[chunkstore.ID]bool) []*part {
	p := &part{contents: s.Contents, key: key}
	blockSize := m.blockSize()
	p.fragment = s.Contents[0].Size < blockSize
	for _, c := range s.Contents {
		p.size += c.Size
		if m.u.seeds.of(c.ID) != nil {
			continue
		}
		if m.src.chain != nil && m.src.chain.gives(c.ID, len(m.src.chain.sets)) {
			memory, ok := m.src.chain.patching(c.ID, len(m.src.chain.sets))
			if !ok || ahead[c.ID] {
				return nil
			}
			p.memory = max(p.memory, min(memory, m.most))
			p.pieces = append(p.pieces, m.src.chain.pieces(c.ID)...)
			continue
		}
		if len(c.Chunks) == 0 {
			return nil
		}
		for _, x := range c.Chunks {
			at, ok := m.u.at[x.ID]
			if _, seed := m.u.seeds.chunk(x.ID); seed || x.IsHole() {
				continue
			}
			if !ok {
				return nil
			}
			p.pieces = append(p.pieces, delta.Piece{
				File:   delta.File{Kind: delta.PackFile, ID: at.Pack},
				Extent: delta.Extent{Offset: at.Offset, Length: at.Length},
			})
		}
	}
	if len(s.Contents) == 1 && len(p.pieces) > 0 && m.src.chain != nil &&
		s.Contents[0].Size > patchset.PieceMax {
		return m.src.chain.split(p, blockSize)
	}
	return []*part{p}
}

// madeBlocks gives the blocks of the image that were made before; nil when they cannot be had.
func (u *Update) madeBlocks() *madeblocks.Store {
	if u.noMaking || u.recipe == nil || u.image == nil {
		return nil
	}
	image := madeblocks.Image{
		ID: u.image.ID, Codec: u.recipe.Codec, BlockSize: u.recipe.BlockSize,
	}
	if u.made.Of(image) {
		return u.made
	}
	err := u.made.Close()
	if err == nil {
		u.made, err = madeblocks.Open(u.state.MadePath(), image)
	}
	if err != nil {
		u.events.warn("state folder %s: %v", u.state.Name(), err)
		u.made, u.noMaking = nil, true
	}
	return u.made
}

// dropMade forgets the blocks that were made, and makes none any more.
func (u *Update) dropMade() error {
	err := u.made.Close()
	u.made, u.noMaking = nil, true
	return errors.Join(err, u.state.ClearMade())
}

// freeRoom is how many bytes the state folder can take. Tests have less.
var freeRoom = (*state.Folder).Free

// madeRoom is how many bytes of the state folder made blocks may take: what is free beside what is
// fetched and what is made before the image.
func (u *Update) madeRoom() (int64, error) {
	room, err := freeRoom(u.state)
	if err != nil {
		return 0, err
	}
	room -= u.plan.Bytes
	if u.route == route(u.patch) {
		for _, a := range u.patch.chain.ahead(u.patch.lacks()) {
			room -= a.size
		}
	}
	for _, o := range u.outputs {
		room -= usualRatio * o.artifact.Size
	}
	return room, nil
}

// storedStretches gives the keys of the stretches that a seed has as the image stores them.
func (u *Update) storedStretches() map[chunkstore.ID]bool {
	if u.noCopies {
		return nil
	}
	return u.seeds.stretches(u.recipe)
}

// withMade adds the made blocks of an image to a source.
type withMade struct {
	mkimage.Source
	stored mkimage.Stored // the source, when it has stored blocks; else nil
	made   *madeblocks.Store
	buffer []byte
	used   int
}

// StoredBlock is mkimage.Stored's.
func (w *withMade) StoredBlock(c *chunkstore.Content, n int) (stored []byte, compressed, ok bool,
	err error) {
	if stored, compressed, ok = w.get(mkimage.KeyOf([]chunkstore.ID{c.ID}), n); ok || w.stored == nil {
		return stored, compressed, ok, nil
	}
	return w.stored.StoredBlock(c, n)
}

// StoredFragment is mkimage.Stored's.
func (w *withMade) StoredFragment(contents []chunkstore.ID) (stored []byte, compressed, ok bool,
	err error) {
	if stored, compressed, ok = w.get(mkimage.KeyOf(contents), 0); ok || w.stored == nil {
		return stored, compressed, ok, nil
	}
	return w.stored.StoredFragment(contents)
}

func (w *withMade) get(key chunkstore.ID, n int) (stored []byte, compressed, ok bool) {
	if stored, compressed, ok = w.made.Get(key, n, w.buffer); ok {
		w.used++
		w.buffer = stored[:0]
	}
	return stored, compressed, ok
}
