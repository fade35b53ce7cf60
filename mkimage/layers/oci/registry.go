package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"deltaup/internal/durable"
	"deltaup/mkimage/rootfs"
)

// fetchers is how many layers are fetched at a time.
const fetchers = 4

// registry is a repository of a registry, and the cache.
type registry struct {
	tag    name.Tag
	puller *remote.Puller
	cache  string
}

func newRegistry(r Reference, o *Options) (*registry, error) {
	tag, err := name.NewTag(r.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if o.Cache == "" {
		return nil, fmt.Errorf("%s: there is no folder for a cache", r)
	}
	options := []remote.Option{remote.WithUserAgent("deltaup")}
	if o.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(o.Keychain))
	}
	if o.transport != nil {
		options = append(options, remote.WithTransport(o.transport))
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	return &registry{tag, puller, o.Cache}, nil
}

func (r *registry) Close() error { return nil }

// resolve asks the registry. The digest is that of what it gives, not what it says.
func (r *registry) resolve(ctx context.Context, _ *v1.Platform) (v1.Hash, error) {
	d, err := r.puller.Get(ctx, r.tag)
	if err != nil {
		return v1.Hash{}, err
	}
	if _, err := parseDocument(d.Manifest); err != nil {
		return v1.Hash{}, err
	}
	return d.Digest, nil
}

func (r *registry) image(ctx context.Context, digest v1.Hash, p *v1.Platform) (*image, error) {
	return follow(ctx, r, digest, p)
}

func (r *registry) path(h v1.Hash) string {
	return filepath.Join(r.cache, h.Algorithm+"-"+h.Hex+".oci")
}

func (r *registry) document(ctx context.Context, h v1.Hash) ([]byte, error) {
	err := r.need(h, func(w io.Writer) error {
		d, err := r.puller.Get(ctx, r.tag.Digest(h.String()))
		if err != nil {
			return err
		}
		if len(d.Manifest) > manifestMax {
			return tooLong(h, manifestMax)
		}
		if err := verifyBytes(d.Manifest, h); err != nil {
			return err
		}
		_, err = w.Write(d.Manifest)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.read(h, manifestMax)
}

func (r *registry) config(ctx context.Context, h v1.Hash) ([]byte, error) {
	err := r.need(h, func(w io.Writer) error {
		return r.fetch(ctx, w, v1.Descriptor{Digest: h, Size: -1}, configMax)
	})
	if err != nil {
		return nil, err
	}
	return r.read(h, configMax)
}

// read reads a file of the cache.
func (r *registry) read(h v1.Hash, limit int64) ([]byte, error) {
	f, err := os.Open(r.path(h))
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = tooLong(h, limit)
	}
	return b, err
}

func tooLong(h v1.Hash, limit int64) error {
	return fmt.Errorf("%w: %s has more than %d bytes", rootfs.ErrTooLarge, h, limit)
}

// need fills a file of the cache unless it is there.
func (r *registry) need(h v1.Hash, fill func(io.Writer) error) error {
	_, err := os.Stat(r.path(h))
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := durable.MkdirAll(r.cache); err != nil {
		return err
	}
	return durable.WriteFile(r.cache, r.path(h), fill)
}

// fetch fetches a blob.
func (r *registry) fetch(ctx context.Context, w io.Writer, d v1.Descriptor, limit int64) error {
	l, err := r.puller.Layer(ctx, r.tag.Digest(d.Digest.String()))
	if err != nil {
		return err
	}
	body, err := l.Compressed()
	if err != nil {
		return err
	}
	n, err := io.Copy(w, newVerified(struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, limit+1), body}, d.Size, d.Digest))
	if err == nil && n > limit {
		err = tooLong(d.Digest, limit)
	}
	return errors.Join(err, body.Close())
}

// layers fetches the layers that the cache lacks.
func (r *registry) layers(ctx context.Context, list []v1.Descriptor) (openers []opener, err error) {
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	seen := map[v1.Hash]bool{}
	for _, d := range list {
		openers = append(openers, func() (io.ReadCloser, error) { return os.Open(r.path(d.Digest)) })
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		g.Go(func() error {
			err := r.need(d.Digest, func(w io.Writer) error {
				return r.fetch(inner, w, d, d.Size)
			})
			if err != nil {
				return fmt.Errorf("fetch layer %s: %w", d.Digest, err)
			}
			return nil
		})
	}
	return openers, g.Wait()
}
