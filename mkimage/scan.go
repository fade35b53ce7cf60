package mkimage

import (
	"context"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
)

// scanner reads many contents in parallel, with a splitter for each goroutine.
type scanner struct {
	params   chunkstore.Params
	workers  int // 0: GOMAXPROCS
	progress *progress
}

// each calls fn for 0 to n-1, in about that order. It stops at the first error.
func (s *scanner) each(ctx context.Context, n int, fn func(ctx context.Context, i int, s *chunkstore.Splitter) error) error {
	workers := s.workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	group.Go(func() error {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			splitter := chunkstore.NewSplitter(s.params)
			for i := range next {
				if err := fn(ctx, i, splitter); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// progress adds up what several goroutines read.
type progress struct {
	call  func(done, total int64) // may be nil
	total int64

	mu   sync.Mutex
	done int64
}

func newProgress(call func(done, total int64)) *progress { return &progress{call: call} }

func (p *progress) add(n int64) {
	if p.call == nil || n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.call(p.done, p.total)
}

// reader counts what is read from r and ends with ctx.
func (p *progress) reader(ctx context.Context, r io.Reader) io.Reader {
	return &progressReader{ctx, r, p}
}

type progressReader struct {
	ctx context.Context
	in  io.Reader
	p   *progress
}

func (r *progressReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.in.Read(b)
	r.p.add(int64(n))
	return n, err
}
