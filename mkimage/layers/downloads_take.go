package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// Take keeps a package by its hash, which nobody knows before, and gives it with that. check looks
// at the file first; it has at most one byte more than p.Size. A hash that p has is that of a
// former lock: what is there by it, and passes check, is not fetched again.
func (c *Downloads) Take(ctx context.Context, p Locked, check func(path string) error) (Locked,
	error) {
	if p.SHA256 != "" {
		f, err := plainfile.Open(c.name(p))
		if err == nil {
			err = p.verify(io.Discard, f)
			f.Close() // it was only read
		}
		if err == nil && check(c.name(p)) == nil {
			return p, nil
		}
	}
	err := retry(ctx, func(ctx context.Context) error {
		body, err := p.open(ctx)
		if err != nil {
			return err
		}
		defer body.Close()
		return c.take(&p, body, check)
	})
	return p, err
}

// take keeps a package that it reads.
func (c *Downloads) take(p *Locked, r io.Reader, check func(path string) error) error {
	f, err := durable.Create(c.Dir)
	if err != nil {
		return backoff.Permanent(err)
	}
	defer f.Discard()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, p.Size+1)); err != nil {
		err = fmt.Errorf("%s: %w", p, err)
		if errors.Is(err, unix.ENOSPC) {
			err = backoff.Permanent(err)
		}
		return err
	}
	if err := f.Seal(); err != nil {
		return backoff.Permanent(err)
	}
	if err := check(f.Name()); err != nil {
		return backoff.Permanent(err)
	}
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	if err := f.Commit(c.name(*p)); err != nil {
		return backoff.Permanent(err)
	}
	return nil
}

// Read gives what is at an address, at most limit bytes. Errors name the address, and wrap
// ErrUnreachable, ErrGone or plainfile.ErrTooLong, or are the system's.
func (c *Downloads) Read(ctx context.Context, address string, limit int64) (text []byte, err error) {
	err = retry(ctx, func(ctx context.Context) error {
		body, err := openAddress(ctx, address, address)
		if err != nil {
			return err
		}
		defer body.Close()
		if text, err = io.ReadAll(io.LimitReader(body, limit+1)); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		if int64(len(text)) > limit {
			return backoff.Permanent(fmt.Errorf("%s: %w: more than %d bytes", address,
				plainfile.ErrTooLong, limit))
		}
		return nil
	})
	return text, err
}
