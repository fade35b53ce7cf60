package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// Fetch reads a whole file of at most limit bytes into memory and verifies it. Corrupt bytes are
// fetched again, from another mirror or past caches, before it fails.
func (c *Client) Fetch(ctx context.Context, name string, o mirror.Object, limit int64) ([]byte,
	error) {
	if o.Size < 0 || o.Size > limit {
		return nil, damaged(name,
			fmt.Errorf("its size is given as %d bytes, at most %d are expected", o.Size, limit))
	}
	for {
		b, r, err := c.readAll(ctx, name, o.Size)
		if err != nil {
			return nil, err
		}
		if chunkstore.Sum(b) == o.ID {
			return b, nil
		}
		if o.Size == 0 {
			return nil, damaged(name, errors.New("it has no bytes and another hash"))
		}
		cause := pageOr(b, errors.New("its hash is wrong"))
		if r.total > o.Size && !errors.Is(cause, errPage) {
			cause = fmt.Errorf("%w: it has %d bytes, not %d, and its hash is wrong", ErrTooLong,
				r.total, o.Size)
		}
		if err := c.Blame(r, cause); err != nil {
			return nil, err
		}
	}
}

func (c *Client) readAll(ctx context.Context, name string,
	size int64) ([]byte, *rangeReader, error) {
	r, err := c.readRange(ctx, name, 0, size, false)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer // grows with what comes, not with what was promised
	_, err = b.ReadFrom(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), r, nil
}

// Pointer reads a channel's pointer, past all caches. Its error wraps ErrNowhere where not even
// signed metadata are.
func (c *Client) Pointer(ctx context.Context, channel string) (*mirror.Pointer, error) {
	if !mirror.ValidName(channel) {
		return nil, fmt.Errorf("channel %.140q: %w: not a valid name", channel, ErrMissing)
	}
	var p *mirror.Pointer
	err := c.FetchLatest(ctx, mirror.PointerPath(channel), mirror.MaxPointerSize,
		func(b []byte) (err error) {
			if p, err = mirror.ParsePointer(b); err == nil && p.Channel != channel {
				err = fmt.Errorf("is the pointer of channel %q", p.Channel)
			}
			return err
		})
	if err != nil {
		return nil, c.noMirror(ctx, channel, err)
	}
	return p, nil
}

// Release reads a version's release file, verified against want unless that is nil:
// then only the file's own sum protects it from accidents.
func (c *Client) Release(ctx context.Context, version string, want *mirror.Object) (*mirror.Release,
	error) {
	if !mirror.ValidName(version) {
		return nil, fmt.Errorf("version %.140q: %w: not a valid name", version, ErrMissing)
	}
	var r *mirror.Release
	name := mirror.ReleasePath(version)
	parse := func(b []byte) (err error) {
		if r, err = mirror.ParseRelease(b); err == nil && r.Version != version {
			err = fmt.Errorf("is the release file of version %q", r.Version)
		}
		return err
	}
	if want == nil {
		err := c.FetchLatest(ctx, name, mirror.MaxReleaseSize, parse)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	b, err := c.ReleaseFile(ctx, version, *want)
	if err != nil {
		return nil, err
	}
	if err := parse(b); err != nil {
		return nil, unusable(name, err)
	}
	return r, nil
}

// otherRelease is by how many bytes the file of another release may be longer and still be read, so
// as to be told from data without end.
const otherRelease = 16 << 10

// ReleaseFile reads the file of a version, which must be a [ValidName], and verifies it. What is
// another release's file is told from a damaged one: ErrOtherRelease.
func (c *Client) ReleaseFile(ctx context.Context, version string, o mirror.Object) ([]byte, error) {
	name := mirror.ReleasePath(version)
	if o.Size < 0 || o.Size > mirror.MaxReleaseSize {
		return nil, damaged(
			name,
			fmt.Errorf("its size is given as %d bytes, at most %d are expected", o.Size,
				mirror.MaxReleaseSize),
		)
	}
	var file []byte
	err := c.fetchWhole(
		c.newTries(ctx, name),
		min(o.Size+otherRelease, mirror.MaxReleaseSize),
		false,
		func(b []byte) error {
			file = b
			if mirror.ObjectOf(b) == o {
				return nil
			}
			if r, err := mirror.ParseRelease(b); err == nil {
				return fmt.Errorf("%w: it is of version %s and has the hash %s, not %s",
					mirror.ErrOtherRelease, r.Version, chunkstore.Sum(b), o.ID)
			}
			return fmt.Errorf("has %d of %d bytes, and its hash is wrong", len(b), o.Size)
		},
	)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// FetchLatest reads a file of at most limit bytes whose size and hash are not known, past all
// caches. What breaks off is begun anew, as the file may have changed; what parse refuses is asked
// for again like any corrupt file, and then at the other mirrors. Its last errors are wrapped when
// all have failed.
func (c *Client) FetchLatest(ctx context.Context, name string, limit int64,
	parse func([]byte) error) error {
	return c.fetchWhole(c.newTries(ctx, name), limit, true, parse)
}

// fetchWhole is FetchLatest; unless fresh is set, caches are bypassed only for what has come
// corrupt.
func (c *Client) fetchWhole(t *tries, limit int64, fresh bool, parse func([]byte) error) error {
	for {
		s, suspicion, err := t.next(0)
		if err != nil {
			return err
		}
		b, came, err := t.takeAhead(s)
		if !came {
			b, err = c.readUnknown(t.ctx, s,
				request{name: t.name, length: -1, limit: limit, fresh: fresh || suspicion > 0},
				t.sent > 1)
		}
		if err == nil {
			t.progress(s, len(b))
			if err = parse(b); err == nil {
				return nil
			}
			if errors.Is(err, chunkstore.ErrVersion) {
				return unusable(t.name, err)
			}
			err = &failure{kind: corruptFailure, err: pageOr(b, err)}
		}
		if fatal := t.fatal(err); fatal != nil {
			return fatal
		}
		t.fail(s, suspicion, err)
	}
}

func (c *Client) readUnknown(ctx context.Context, s *site, q request, retry bool) ([]byte, error) {
	a, err := c.open(ctx, s, q, retry)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(a)
	_ = a.Close() // it was only read
	if err == nil && int64(len(b)) > q.limit {
		err = corruptf("%w: it goes on after the %d bytes that are expected at most", ErrTooLong,
			q.limit)
	}
	return b, err
}

// unusable is the error about a file that came as it was meant to be, and is no good.
func unusable(name string, err error) error {
	if errors.Is(err, chunkstore.ErrVersion) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return damaged(name, err)
}

// damaged is the error about a file that no other mirror will have better.
func damaged(name string, err error) error {
	return newFileError(name, []saying{{err: &failure{kind: corruptFailure, err: err}}})
}
