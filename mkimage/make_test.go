package mkimage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"deltaup/chunkstore"
)

// madeBlocks is what Make has made, as a Stored.
type madeBlocks struct {
	Source
	mu     sync.Mutex
	blocks map[madeKey][]byte
	plain  map[madeKey]bool // stored as they are
	twice  int
}

type madeKey struct {
	stretch chunkstore.ID
	number  int
}

func (m *madeBlocks) put(k madeKey, stored []byte, compressed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blocks[k]; ok {
		m.twice++
	}
	m.blocks[k], m.plain[k] = bytes.Clone(stored), !compressed
}

func (m *madeBlocks) get(k madeKey) ([]byte, bool, bool, error) {
	stored, ok := m.blocks[k]
	return stored, !m.plain[k], ok, nil
}

func (m *madeBlocks) StoredBlock(c *chunkstore.Content, n int) ([]byte, bool, bool, error) {
	return m.get(madeKey{KeyOf([]chunkstore.ID{c.ID}), n})
}

func (m *madeBlocks) StoredFragment(contents []chunkstore.ID) ([]byte, bool, bool, error) {
	return m.get(madeKey{KeyOf(contents), 0})
}

// parts gives the parts of an image, from the last one on.
func (m *madeBlocks) parts(r *Recipe, lacks func(madeKey) bool) []*Portion {
	var parts []*Portion
	for _, s := range r.Layout() {
		p := &Portion{
			Fragment: s.Contents[0].Size < int64(r.BlockSize),
			Lacks:    func(n int) bool { return lacks(madeKey{s.Key(), n}) },
			Keep: func(n int, stored []byte, compressed bool) error {
				m.put(madeKey{s.Key(), n}, stored, compressed)
				return nil
			},
			Read: func(error) {},
		}
		for _, c := range s.Contents {
			p.Size += c.Size
		}
		p.Open = func(ctx context.Context) (io.ReadCloser, error) {
			var all []io.Reader
			for _, c := range s.Contents {
				in, err := m.Source.Open(ctx, c)
				if err != nil {
					return nil, err
				}
				all = append(all, in)
			}
			return io.NopCloser(io.MultiReader(all...)), nil
		}
		parts = append([]*Portion{p}, parts...)
	}
	return parts
}

// nextOf gives parts one after another.
func nextOf(parts []*Portion) func(context.Context) (*Portion, error) {
	var next atomic.Int64
	return func(context.Context) (*Portion, error) {
		if i := int(next.Add(1)) - 1; i < len(parts) {
			return parts[i], nil
		}
		return nil, nil
	}
}

// TestMake makes the blocks of images: Build copies them all, and gives the same image. What is not
// wanted, or cannot be read, Build makes itself.
func TestMake(t *testing.T) {
	for _, size := range blockSizes() {
		r, want, stats := makeImage(t, zoo(size), Options{BlockSize: size, Level: "fastest"})
		m := &madeBlocks{
			Source: derive(t, want, DeriveOptions{}).Source(nil),
			blocks: map[madeKey][]byte{}, plain: map[madeKey]bool{},
		}
		if err := Make(t.Context(), r, nextOf(m.parts(r, func(madeKey) bool { return true })), BuildOptions{}); err != nil {
			t.Fatal(err)
		}
		got, made := build(t, r, m)
		if !bytes.Equal(got, want) || made.BlocksCompressed != 0 || made.BlocksCopied != stats.BlocksCompressed+stats.blocksHole {
			t.Errorf("block size %d: the same image: %v; %d blocks copied, %d compressed, of %d", size,
				bytes.Equal(got, want), made.BlocksCopied, made.BlocksCompressed, stats.BlocksCompressed)
		}

		m.blocks, m.plain = map[madeKey][]byte{}, map[madeKey]bool{}
		parts := m.parts(r, func(k madeKey) bool { return k.number%2 == 0 })
		failure, failed := errors.New("cable pulled"), 0
		for i, p := range parts {
			switch i % 5 {
			case 1:
				p.Open = func(context.Context) (io.ReadCloser, error) { return nil, failure }
			case 3:
				p.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil }
			default:
				continue
			}
			failed++
			p.Read = func(err error) {
				if err == nil {
					t.Error("a part that cannot be read is made")
				}
			}
		}
		if err := Make(t.Context(), r, nextOf(parts), BuildOptions{}); err != nil || failed == 0 {
			t.Fatal(err)
		}
		if got, made = build(t, r, m); !bytes.Equal(got, want) || made.BlocksCopied == 0 || made.BlocksCompressed == 0 || m.twice > 0 {
			t.Errorf("block size %d, some of them: the same image: %v; %d blocks copied, %d compressed, %d made twice",
				size, bytes.Equal(got, want), made.BlocksCopied, made.BlocksCompressed, m.twice)
		}
	}
}

// TestMakeEnds: the errors of next and of Keep end Make, and so does the context.
func TestMakeEnds(t *testing.T) {
	r, image, _ := makeImage(t, zoo(64<<10), Options{BlockSize: 64 << 10, Level: "fastest"})
	m := &madeBlocks{
		Source: derive(t, image, DeriveOptions{}).Source(nil),
		blocks: map[madeKey][]byte{}, plain: map[madeKey]bool{},
	}
	failure := errors.New("the disk is full")
	all := func(madeKey) bool { return true }
	parts := m.parts(r, all)
	for _, p := range parts {
		p.Keep = func(int, []byte, bool) error { return failure }
	}
	if err := Make(t.Context(), r, nextOf(parts), BuildOptions{}); !errors.Is(err, failure) {
		t.Errorf("Keep fails: %v", err)
	}
	next := nextOf(m.parts(r, all))
	calls := atomic.Int64{}
	err := Make(t.Context(), r, func(ctx context.Context) (*Portion, error) {
		if calls.Add(1) == 5 {
			return nil, failure
		}
		return next(ctx)
	}, BuildOptions{})
	if !errors.Is(err, failure) {
		t.Errorf("next fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Make(ctx, r, func(ctx context.Context) (*Portion, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}, BuildOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the context ends: %v", err)
	}
}

// TestMakeParallel: as many parts are read at once, and as many blocks kept, as there are
// processors.
func TestMakeParallel(t *testing.T) {
	for _, processors := range []int{4, 8} {
		before := runtime.GOMAXPROCS(processors)
		read, kept := newMeeting(processors), newMeeting(processors)
		r := &Recipe{BlockSize: 4 << 10, Codec: "zstd-fastest.1"}
		var parts []*Portion
		for range 2 * processors {
			parts = append(parts, &Portion{
				Size: 8 << 10,
				Open: func(ctx context.Context) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(make([]byte, 8<<10))), read.meet(ctx)
				},
				Lacks: func(int) bool { return true },
				Keep:  func(int, []byte, bool) error { return kept.meet(t.Context()) },
				Read:  func(error) {},
			})
		}
		err := Make(t.Context(), r, nextOf(parts), BuildOptions{})
		runtime.GOMAXPROCS(before)
		if err != nil || read.most != processors || kept.most != processors {
			t.Errorf("%d processors: %d parts read at once, %d blocks kept (%v)", processors, read.most, kept.most, err)
		}
	}
}

// meeting lets nobody go on before so many have come.
type meeting struct {
	mu    sync.Mutex
	here  int
	most  int
	full  chan struct{}
	wants int
}

func newMeeting(n int) *meeting { return &meeting{full: make(chan struct{}), wants: n} }

func (m *meeting) meet(ctx context.Context) error {
	m.mu.Lock()
	m.here++
	if m.most = max(m.most, m.here); m.here == m.wants && m.most == m.wants {
		select {
		case <-m.full:
		default:
			close(m.full)
		}
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.here--
		m.mu.Unlock()
	}()
	select {
	case <-m.full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
