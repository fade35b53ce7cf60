// Package spool keeps the contents of a file that is taken apart, since nobody can read a
// compressed file at random.
package spool

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// Spool keeps bytes. An *os.File is one.
type Spool interface {
	io.WriterAt
	io.ReaderAt
}

// Taker cuts contents as they are unpacked, and spools them.
type Taker struct {
	splitter *chunkstore.Splitter
	spool    Spool // nil: contents are cut and not kept
	keep     func(c *chunkstore.Content) bool
	size     int64 // bytes of the spool: where the next byte goes
	last     int64 // where the content lies that was taken last
	err      error // the spool's first error
	contents map[chunkstore.ID]*chunkstore.Content
	offsets  map[chunkstore.ID]int64 // in the spool
}

// NewTaker makes a taker that cuts as p says. keep tells whether a content stays in the spool; nil:
// all do. Other contents take room there only until the next one.
func NewTaker(p chunkstore.Params, s Spool, keep func(c *chunkstore.Content) bool) *Taker {
	return &Taker{
		splitter: chunkstore.NewSplitter(p),
		spool:    s,
		keep:     keep,
		contents: make(map[chunkstore.ID]*chunkstore.Content),
		offsets:  make(map[chunkstore.ID]int64),
	}
}

// Content takes what r reads. Equal contents are the same. Errors are r's and the spool's.
func (t *Taker) Content(r io.Reader) (*chunkstore.Content, error) {
	start := t.size
	t.last = start
	c, err := t.splitter.Split(io.TeeReader(r, (*writer)(t)), nil)
	if err != nil {
		return nil, err
	}
	if known := t.contents[c.ID]; known != nil {
		t.size = start
		return known, nil
	}
	t.contents[c.ID] = &c
	if t.keep == nil || t.keep(&c) {
		t.offsets[c.ID] = start
	} else {
		t.size = start
	}
	return &c, nil
}

// Last reads the content that was taken last, kept or not. It may be called until the next one is
// taken, and not without a spool.
func (t *Taker) Last(c *chunkstore.Content) io.Reader {
	return io.NewSectionReader(t.spool, t.last, c.Size)
}

// Err is the spool's error, nil when there was none.
func (t *Taker) Err() error { return t.err }

// writer spools bytes of the current content.
type writer Taker

func (t *writer) Write(p []byte) (int, error) {
	if t.spool == nil {
		return len(p), nil
	}
	n, err := t.spool.WriteAt(p, t.size)
	t.size += int64(n)
	t.err = err
	return n, err
}

// Source gives the contents that are kept. That is a mkimage.Source, and what it opens is an
// io.ReaderAt too.
func (t *Taker) Source() Kept { return Kept{t.spool, t.offsets} }

// Kept is a source of the contents in a spool.
type Kept struct {
	spool   Spool
	offsets map[chunkstore.ID]int64
}

// Open implements mkimage.Source.
func (s Kept) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	offset, ok := s.offsets[c.ID]
	if !ok || s.spool == nil {
		return nil, fmt.Errorf("content %v: %w", c.ID, chunkstore.ErrNotFound)
	}
	return spooled{io.NewSectionReader(s.spool, offset, c.Size)}, nil
}

// spooled is an open content.
type spooled struct{ *io.SectionReader }

// Close does nothing, since the spool is the caller's.
func (spooled) Close() error { return nil }

// Caller is the caller's reader. It remembers that reader's error, which is not about what is taken
// apart.
type Caller struct {
	ctx context.Context
	r   io.Reader
	err error
}

// NewCaller reads r until ctx ends.
func NewCaller(ctx context.Context, r io.Reader) *Caller { return &Caller{ctx: ctx, r: r} }

// Err is the reader's or the context's error, nil when there was none.
func (c *Caller) Err() error { return c.err }

func (c *Caller) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	if err != io.EOF {
		c.err = err
	}
	return n, err
}
