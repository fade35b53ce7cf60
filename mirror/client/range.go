package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// ReadRange streams length bytes of the named file from offset on: exactly these or an error. A
// broken answer is taken up again at the same byte, there or on another mirror. The bytes are not
// verified: see [Client.Blame]. The reader is for one goroutine and must be closed.
func (c *Client) ReadRange(ctx context.Context, name string,
	offset, length int64) (io.ReadCloser, error) {
	r, err := c.readRange(ctx, name, offset, length, false)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c *Client) readRange(ctx context.Context, name string, offset, length int64,
	part bool) (*rangeReader, error) {
	if offset < 0 || length < 0 || offset > math.MaxInt64-length {
		return nil, fmt.Errorf("%s: no such range: %d bytes from %d on", name, length, offset)
	}
	r := &rangeReader{tries: c.newTries(ctx, name), offset: offset, left: length}
	r.part = part
	if length > 0 {
		if err := r.connect(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// rangeReader reads a range over as many requests as it takes.
type rangeReader struct {
	*tries
	offset int64 // of the next byte
	left   int64 // bytes still to yield
	err    error // final

	answer    *attempt // nil: none open
	site      *site    // that sent the last byte, or is about to
	suspicion int      // of the site when it was asked
	total     int64    // bytes of the whole file, as the last answer says; -1: it does not
	endless   bool     // the last answer is the file from its start, and does not say where it ends
}

func (r *rangeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, r.err
	}
	for r.err == nil && r.left > 0 {
		if r.answer == nil {
			if err := r.connect(); err != nil {
				r.err = err
				break
			}
		}
		n, err := r.answer.Read(p[:min(int64(len(p)), r.left)])
		if n > 0 {
			r.offset += int64(n)
			r.left -= int64(n)
			r.progress(r.site, n)
		}
		if err != nil && r.left > 0 && !(err == io.EOF && r.answer.complete()) {
			r.fail(r.site, r.suspicion, err)
		}
		if err != nil || r.left == 0 {
			r.hangUp()
		}
		if n > 0 {
			return n, nil
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	return 0, io.EOF
}

// connect opens an answer for the bytes that are still to come.
func (r *rangeReader) connect() error {
	for {
		s, suspicion, err := r.next(r.offset)
		if err != nil {
			return err
		}
		r.site, r.suspicion = s, suspicion
		q := request{
			name:   r.name,
			offset: r.offset,
			length: r.left,
			fresh:  suspicion > 0,
			part:   r.part,
		}
		r.answer, err = r.c.open(r.ctx, s, q, r.sent > 1)
		if err == nil {
			r.total, r.endless = r.answer.total, r.answer.whole && r.answer.total < 0
			return nil
		}
		if err := r.fatal(err); err != nil {
			return err
		}
		r.fail(s, suspicion, err)
	}
}

// fatal returns err, with the file's name, when no further try can help.
func (t *tries) fatal(err error) error {
	if errors.Is(err, ErrBudget) {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if done := t.ctx.Err(); done != nil {
		return fmt.Errorf("%s: %w", t.name, done)
	}
	return nil
}

func (r *rangeReader) hangUp() {
	if r.answer != nil {
		// All that was needed has been read, or the answer has failed already.
		_ = r.answer.Close()
		r.answer = nil
	}
}

// Close ends the request that is under way. It never fails.
func (r *rangeReader) Close() error {
	r.hangUp()
	if r.err == nil {
		r.err = errors.New("read after close")
	}
	return nil
}

// Blame tells the client that the bytes which r, a reader from ReadRange that may be closed by now,
// yielded last are corrupt; cause is the caller's error.
//
// When it returns nil, reading them again is worthwhile: another mirror is preferred for that file
// from now on, and caches on the way are bypassed. Otherwise each mirror has had its chances, two a
// file, and the error, which the caller is to return, names mirrors and file and wraps cause,
// [ErrDamaged] and chunkstore.ErrCorrupt. Blaming for an error of r itself returns that error: the
// client has done what it can.
func (c *Client) Blame(r io.Reader, cause error) error {
	rr, ok := r.(*rangeReader)
	if !ok || rr.site == nil || rr.err != nil && errors.Is(cause, rr.err) {
		return cause
	}
	if rr.endless {
		cause = fmt.Errorf("%w: the answer does not say where it ends: %w", ErrTooLong, cause)
	}
	// Its context may have ended with the reading.
	rr.note(rr.site, rr.suspicion, &failure{kind: corruptFailure, err: cause})
	// A hopeless mirror is asked only when no other answers.
	if rr.suspicion < hopeless && rr.hope() {
		return nil
	}
	return rr.final()
}

// hope tells whether a mirror is left that may have the file in good order.
func (t *tries) hope() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return slices.ContainsFunc(t.c.sites, func(s *site) bool {
		return !t.at(s).over && s.suspicions[t.name] < hopeless
	})
}
