package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"deltaup/mkimage/rootfs"
)

// blobs is where blobs come from, by their digests. What is read is verified by the caller.
type blobs interface {
	document(context.Context, v1.Hash) ([]byte, error) // an index or manifest
	config(context.Context, v1.Hash) ([]byte, error)
	// layers gives what opens each of the blobs.
	layers(ctx context.Context, list []v1.Descriptor) ([]opener, error)
}

type opener func() (io.ReadCloser, error)

// document is an index or a manifest, of OCI or of Docker's second schema.
// https://github.com/opencontainers/image-spec
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"` // an index
	Config        *v1.Descriptor  `json:"config"`    // a manifest
	Layers        []v1.Descriptor `json:"layers"`
}

func (d *document) isIndex() bool { return d.Config == nil }

// parseDocument reads an index or a manifest. What it is lies in its content, and must not be
// ambiguous.
func parseDocument(text []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	index := d.Manifests != nil
	switch {
	case d.SchemaVersion != 2:
		return nil, fmt.Errorf("%w: a manifest of version %d, this deltaup knows 2", ErrMalformed,
			d.SchemaVersion)
	case index == (d.Config != nil || d.Layers != nil), !index && d.Config == nil,
		index && d.MediaType != "" && !d.MediaType.IsIndex(),
		!index && d.MediaType != "" && !d.MediaType.IsImage():
		return nil, fmt.Errorf("%w: neither an index nor the manifest of an image (%.80q)",
			ErrMalformed, d.MediaType)
	case len(d.Layers) > layersMax:
		return nil, fmt.Errorf("%w: %d layers", rootfs.ErrTooLarge, len(d.Layers))
	}
	list := append(d.Manifests, d.Layers...)
	if d.Config != nil {
		if list = append(list, *d.Config); !d.Config.MediaType.IsConfig() {
			return nil, fmt.Errorf("%w: what it holds is no image but %.80q", ErrMalformed,
				d.Config.MediaType)
		}
	}
	for i := range list {
		if list[i].Digest == (v1.Hash{}) || list[i].Size < 0 {
			return nil, fmt.Errorf("%w: a digest or size is missing", ErrMalformed)
		}
	}
	var total int64
	for _, l := range d.Layers {
		if !l.MediaType.IsLayer() {
			return nil, fmt.Errorf("%w: a layer of the type %.80q", ErrMalformed, l.MediaType)
		}
		if total += l.Size; l.Size > blobsMax || total > blobsMax {
			return nil, fmt.Errorf("%w: layers of more than %d GiB", rootfs.ErrTooLarge, blobsMax>>30)
		}
	}
	return d, nil
}

// parseConfig reads the configuration of an image.
func parseConfig(text []byte, layers int) (*v1.ConfigFile, error) {
	c := &v1.ConfigFile{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%w: configuration: %w", ErrMalformed, err)
	}
	if len(c.RootFS.DiffIDs) != layers || layers > layersMax {
		return nil, fmt.Errorf("%w: %d layers, the configuration says %d", ErrMalformed, layers,
			len(c.RootFS.DiffIDs))
	}
	for _, id := range c.RootFS.DiffIDs {
		if id == (v1.Hash{}) {
			return nil, fmt.Errorf("%w: the digest of a layer is missing", ErrMalformed)
		}
	}
	return c, nil
}

// follow gives the image that a digest leads to: that of a manifest, or of an index.
func follow(ctx context.Context, b blobs, digest v1.Hash, p *v1.Platform) (*image, error) {
	for range indexDepth {
		text, err := b.document(ctx, digest)
		if err == nil {
			err = verifyBytes(text, digest)
		}
		if err != nil {
			return nil, err
		}
		d, err := parseDocument(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", digest, err)
		}
		if !d.isIndex() {
			return manifest(ctx, b, d, p)
		}
		next, err := choose(d.Manifests, p)
		if err != nil {
			return nil, err
		}
		digest = next.Digest
	}
	return nil, fmt.Errorf("%w: its indexes lead too far", ErrMalformed)
}

// manifest gives the image of a manifest.
func manifest(ctx context.Context, b blobs, d *document, p *v1.Platform) (*image, error) {
	text, err := b.config(ctx, d.Config.Digest)
	if err == nil {
		err = verifyBytes(text, d.Config.Digest)
	}
	if err != nil {
		return nil, err
	}
	config, err := parseConfig(text, len(d.Layers))
	if err == nil {
		err = check(config, p)
	}
	if err != nil {
		return nil, err
	}
	openers, err := b.layers(ctx, d.Layers)
	if err != nil {
		return nil, err
	}
	m := &image{id: d.Config.Digest, config: config}
	for i, l := range d.Layers {
		m.add(l.Digest.String(), config.RootFS.DiffIDs[i], func() (io.ReadCloser, error) {
			r, err := openers[i]()
			if err != nil {
				return nil, err
			}
			return newVerified(r, l.Size, l.Digest), nil
		})
	}
	return m, nil
}

// add adds a layer, which must have a digest when it is unpacked.
func (m *image) add(name string, plain v1.Hash, open opener) {
	m.layers = append(m.layers, rootfs.ContainerLayer{Name: name, Open: func() (io.ReadCloser, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		u, err := unpack(r, plain)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		return u, nil
	}})
}

func verifyBytes(text []byte, h v1.Hash) error {
	_, err := io.Copy(io.Discard, newVerified(io.NopCloser(bytes.NewReader(text)), -1, h))
	return err
}
