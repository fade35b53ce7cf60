package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrWholeFiles is wrapped when a part of a file was asked for, and what is left of the mirrors
// sends only whole files.
var ErrWholeFiles = errors.New("the server ignores ranges: it sends whole files")

// rangeSupport is whether a mirror sends parts of files, as far as it is known.
type rangeSupport int

const (
	rangesUnknown rangeSupport = iota
	sendsRanges                // it did, or says that it does
	sendsWhole                 // it was asked for a part and sent all
)

// ReadPart is [Client.ReadRange] for who does not want to pay for more than the range: a server
// that answers with the whole file is hung up on before its first byte. When no other is left, the
// error wraps ErrWholeFiles.
func (c *Client) ReadPart(ctx context.Context, name string,
	offset, length int64) (io.ReadCloser, error) {
	r, err := c.readRange(ctx, name, offset, length, true)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Ranges tells whether some mirror sends parts of files. Most servers have said so with their first
// answer. Those that have not are asked for the first byte of the named file, which should be
// small, until one sends that.
func (c *Client) Ranges(ctx context.Context, name string) bool {
	whole := false
	for _, s := range c.sites {
		c.mu.Lock()
		support, ailing := s.ranges, time.Since(s.failed) < failedLately
		c.mu.Unlock()
		if support == rangesUnknown && !ailing {
			if a, err := c.open(ctx, s, request{name: name, length: 1, part: true},
				false); err == nil {
				_, _ = io.Copy(io.Discard, a) // so that the connection stays
				_ = a.Close()
			}
			c.mu.Lock()
			support = s.ranges
			c.mu.Unlock()
		}
		if support == sendsRanges {
			return true
		}
		whole = whole || support == sendsWhole
	}
	return !whole
}

// learnRanges takes note of what an answer says about ranges. Its error is that of a part that is
// none.
func (c *Client) learnRanges(s *site, q request, ans *answer) error {
	c.mu.Lock()
	known := s.ranges
	switch {
	case ans.whole && ans.surplus(q):
		s.ranges = sendsWhole
	case ans.ranges && known == rangesUnknown:
		s.ranges = sendsRanges
	}
	now := s.ranges
	c.mu.Unlock()
	if now == sendsWhole && known != sendsWhole {
		c.log(
			Event{
				Mirror: s.String(),
				Object: q.name,
				Err:    ErrWholeFiles,
				Text:   fmt.Sprintf("%s: %s: %v", s, q.name, ErrWholeFiles),
			},
		)
	}
	if q.part && ans.whole && ans.surplus(q) {
		return errWhole
	}
	return nil
}

// errWhole is the failure of a mirror that sends all of a file of which a part is wanted.
var errWhole = &failure{kind: wholeFailure, err: ErrWholeFiles}

// surplus tells whether a whole file is more than what was asked for.
func (a *answer) surplus(q request) bool { return a.skip > 0 || a.total > q.offset+q.length }
