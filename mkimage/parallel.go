package mkimage

import (
	"context"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// each calls a function for each number from 0 to n-1, in about that order, until the first error.
// It runs GOMAXPROCS goroutines, and makes a function for each of them.
func each(ctx context.Context, n int,
	newWorker func() func(ctx context.Context, i int) error) error {
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
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			work := newWorker()
			for i := range next {
				if err := work(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// progress adds up and reports what several goroutines read.
type progress struct {
	call  func(done, total int64) // nil: nobody listens
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

// reader counts what is read from r, and fails when ctx ends.
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
