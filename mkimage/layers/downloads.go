package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// Downloads keeps packages in a folder, by their hashes.
type Downloads struct {
	Dir string
}

// Path gives the path of a package, and fetches it where it is missing or damaged. What has another
// hash than the lock says is refused: errors wrap ErrLock, ErrUnreachable or ErrGone.
func (c *Downloads) Path(ctx context.Context, p Locked) (string, error) {
	name := c.name(p)
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return name, c.fetch(ctx, p, name)
	}
	if err != nil {
		return "", err
	}
	err = p.verify(io.Discard, f)
	f.Close() // it was only read
	if errors.Is(err, ErrLock) {
		return name, c.fetch(ctx, p, name)
	}
	return name, err
}

// name is the path of a package. Its end tells Debian's from Alpine's.
func (c *Downloads) name(p Locked) string {
	suffix := ".deb"
	if strings.HasSuffix(p.URL, apkSuffix) {
		suffix = apkSuffix
	}
	return filepath.Join(c.Dir, p.SHA256+suffix)
}

// verify copies a package, and tells whether it has the size and hash of the lock.
func (p Locked) verify(w io.Writer, r io.Reader) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, p.Size+1))
	if err != nil {
		return err
	}
	if n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%w: %s is not what was locked", ErrLock, p)
	}
	return nil
}

func (c *Downloads) fetch(ctx context.Context, p Locked, name string) error {
	if err := durable.MkdirAll(c.Dir); err != nil {
		return err
	}
	return retry(ctx, func(ctx context.Context) error { return c.try(ctx, p, name) })
}

// retry calls a function several times, as long as its error is not permanent.
func retry(ctx context.Context, call func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, tryTime)
		defer cancel()
		return struct{}{}, call(ctx)
	}, backoff.WithMaxTries(tries))
	return err
}

// Limits of a download.
const (
	tries   = 4
	tryTime = 15 * time.Minute
)

// try fetches a package once. An error that another try would meet again is permanent.
func (c *Downloads) try(ctx context.Context, p Locked, name string) error {
	body, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	err = durable.WriteFile(c.Dir, name, func(w io.Writer) error { return p.verify(w, body) })
	if errors.Is(err, ErrLock) || errors.Is(err, unix.ENOSPC) {
		err = backoff.Permanent(err)
	}
	return err
}

// open opens a package at its address.
func (p Locked) open(ctx context.Context) (io.ReadCloser, error) {
	return openAddress(ctx, p.String(), p.URL)
}

// openAddress opens what is at an address: of a server, or of a file, as apt's sources may have it.
// Messages call it what.
func openAddress(ctx context.Context, what, address string) (io.ReadCloser, error) {
	if name, ok := strings.CutPrefix(address, "file:"); ok {
		name, err := url.PathUnescape(strings.TrimPrefix(name, "//"))
		if err != nil {
			return nil, backoff.Permanent(fmt.Errorf("%w: %s: %w", ErrLock, what, err))
		}
		f, err := plainfile.Open(name)
		if err != nil {
			return nil, backoff.Permanent(fmt.Errorf("%s: %w", what, err))
		}
		return f, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, backoff.Permanent(fmt.Errorf("%w: %s: %w", ErrLock, what, err))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	answer.Body.Close()
	switch status := answer.StatusCode; {
	case status == http.StatusNotFound, status == http.StatusGone:
		return nil, backoff.Permanent(fmt.Errorf("%w: %s: %s", ErrGone, address, answer.Status))
	case status < http.StatusInternalServerError:
		return nil, backoff.Permanent(fmt.Errorf("%w: %s: %s", ErrUnreachable, address, answer.Status))
	}
	return nil, fmt.Errorf("%w: %s: %s", ErrUnreachable, address, answer.Status)
}
