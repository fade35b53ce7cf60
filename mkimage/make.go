package mkimage

import (
	"context"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Portion is plain bytes of an image that [Make] turns into stored blocks: data blocks of one
// content that follow each other, or one fragment block.
type Portion struct {
	Size     int64 // plain bytes
	Fragment bool
	// Open gives the plain bytes, which Make does not verify.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Lacks tells whether the block with that number in the portion is wanted.
	Lacks func(number int) bool
	// Keep takes a wanted block as an image stores it; a hole has no bytes. It may not keep stored.
	// Several goroutines call it, in any order. Its error ends Make.
	Keep func(number int, stored []byte, compressed bool) error
	// Read is called when the portion needs no more memory than its blocks. An error says that the
	// rest of them is not made.
	Read func(err error)
}

// Make turns portions of r's image into stored blocks, on all processors, before Build or beside
// anything else: Build then copies the blocks. next gives portions, in any order, to several
// goroutines at once. It waits for one, and returns nil when there is none any more; its error ends
// Make. A portion that cannot be read is passed over.
func Make(ctx context.Context, r *Recipe, next func(ctx context.Context) (*Portion, error),
	o BuildOptions) error {
	encoders, err := o.encoders(r)
	if err != nil {
		return err
	}
	m := &pool{blockSize: r.BlockSize}
	m.start(len(encoders))
	group, ctx := errgroup.WithContext(ctx)
	var reading sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		reading.Add(1)
		group.Go(func() error {
			defer reading.Done()
			for {
				p, err := next(ctx)
				if p == nil || err != nil {
					return err
				}
				p.Read(m.read(ctx, p))
			}
		})
	}
	group.Go(func() error {
		reading.Wait()
		close(m.work)
		return nil
	})
	for _, e := range encoders {
		group.Go(func() error {
			for j := range m.work {
				j.compress(e)
				if err := j.part.Keep(j.number, j.stored, j.compressed); err != nil {
					return err
				}
				m.free <- j
			}
			return nil
		})
	}
	return group.Wait()
}

// pool has jobs that are free, and those to compress.
type pool struct {
	blockSize int
	free      chan *job
	work      chan *job
}

func (m *pool) start(workers int) {
	jobs := workers * blocksPerWorker
	m.free, m.work = make(chan *job, jobs), make(chan *job, jobs)
	for range jobs {
		m.free <- newJob(m.blockSize)
	}
}

// take waits for a free job.
func (m *pool) take(ctx context.Context, size int) (*job, error) {
	select {
	case j := <-m.free:
		j.fresh(size)
		return j, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads a portion and passes the blocks on that are wanted.
func (m *pool) read(ctx context.Context, p *Portion) error {
	in, err := p.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close() // read only
	for n, left := 0, p.Size; left > 0; n++ {
		j, err := m.take(ctx, int(min(left, int64(m.blockSize))))
		if err != nil {
			return err
		}
		j.part, j.number, j.plain = p, n, j.plain[:j.size]
		if _, err := io.ReadFull(in, j.plain); err != nil {
			m.free <- j
			return err
		}
		if left -= int64(j.size); p.Lacks(n) {
			m.work <- j
		} else {
			m.free <- j
		}
	}
	return nil
}
