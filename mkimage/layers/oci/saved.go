package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// files are the files of a layout or of an archive.
type files struct {
	tree.Tree
	paths tree.Paths
	index map[string]int
	name  string // which of its images is meant; "": the only one
}

// newSaved finds out what kind of image lies in a tree, which it closes if there is none.
func newSaved(r Reference, t tree.Tree) (input, error) {
	f := &files{Tree: t, paths: tree.NewPaths(t.Entries()), index: map[string]int{}, name: r.Name}
	for i := range t.Entries() {
		f.index[t.Entries()[i].Path] = i
	}
	switch {
	case f.paths["oci-layout"] != nil && f.paths["index.json"] != nil:
		return &layout{f}, nil
	case f.paths["manifest.json"] != nil:
		return &docker{f}, nil
	}
	err := fmt.Errorf("%s: %w: neither OCI's index.json nor Docker's manifest.json is in it", r.Path,
		ErrMalformed)
	return nil, errors.Join(err, t.Close())
}

// open opens a file. Links lead through the tree.
func (f *files) open(name string) (io.ReadCloser, int64, error) {
	at, ok := f.paths.Follow(name)
	if !ok || f.paths[at].Type != tree.Regular {
		return nil, 0, fmt.Errorf("%w: the file %.200q is missing", ErrMalformed, name)
	}
	e := f.paths[at]
	if e.Link != "" {
		at = e.Link
	}
	r, err := f.Tree.Open(f.index[at])
	return r, e.Size, err
}

// read reads a file of at most limit bytes.
func (f *files) read(name string, limit int64) ([]byte, error) {
	r, size, err := f.open(name)
	if err != nil {
		return nil, err
	}
	var b []byte
	if size > limit {
		err = fmt.Errorf("%w: %.200q has %d bytes", rootfs.ErrTooLarge, name, size)
	} else {
		b, err = io.ReadAll(r)
	}
	return b, errors.Join(err, r.Close())
}

// layout is an image in OCI's image layout.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
type layout struct{ *files }

func blobPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

func (l *layout) document(_ context.Context, h v1.Hash) ([]byte, error) {
	return l.read(blobPath(h), manifestMax)
}

func (l *layout) config(_ context.Context, h v1.Hash) ([]byte, error) {
	return l.read(blobPath(h), configMax)
}

func (l *layout) layers(_ context.Context, list []v1.Descriptor) (openers []opener, err error) {
	for _, d := range list {
		openers = append(openers, func() (io.ReadCloser, error) {
			r, _, err := l.open(blobPath(d.Digest))
			return r, err
		})
	}
	return openers, nil
}

func (l *layout) image(ctx context.Context, digest v1.Hash, p *v1.Platform) (*image, error) {
	return follow(ctx, l, digest, p)
}

// resolve looks in the layout's index, which nothing verifies.
func (l *layout) resolve(_ context.Context, p *v1.Platform) (v1.Hash, error) {
	text, err := l.read("index.json", manifestMax)
	if err != nil {
		return v1.Hash{}, err
	}
	d, err := parseDocument(text)
	if err == nil && !d.isIndex() {
		err = fmt.Errorf("%w: index.json is no index", ErrMalformed)
	}
	if err != nil {
		return v1.Hash{}, err
	}
	var named []v1.Descriptor
	var names []string
	for _, m := range d.Manifests {
		own := []string{m.Annotations["org.opencontainers.image.ref.name"],
			m.Annotations["io.containerd.image.name"]}
		if l.name == "" || sameName(own, l.name) {
			named = append(named, m)
		}
		names = append(names, own...)
	}
	if len(named) == 0 {
		return v1.Hash{}, noName(l.name, names)
	}
	first := named[0].Digest
	if !slices.ContainsFunc(named, func(m v1.Descriptor) bool { return m.Digest != first }) {
		return first, nil
	}
	one, err := choose(named, p)
	if err == nil && p != nil && l.name == "" {
		// the first for a platform may be another image than the second
		for _, m := range named {
			if m.Platform != nil && fits(m.Platform, p) && m.Digest != one.Digest {
				return v1.Hash{}, noName("", names)
			}
		}
	}
	return one.Digest, err
}

// sameName tells whether one of the names of an image is wanted, or means the same.
func sameName(names []string, want string) bool {
	full := func(s string) string {
		if tag, err := name.NewTag(s); err == nil {
			return tag.Name()
		}
		return s
	}
	return slices.ContainsFunc(names, func(s string) bool {
		return s != "" && (s == want || full(s) == full(want))
	})
}

func noName(want string, names []string) error {
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	slices.Sort(names)
	names = slices.Compact(names)
	list := strings.Join(names[:min(len(names), 20)], ", ")
	if want == "" {
		return fmt.Errorf("%w: want a name, since there are several images: %.1000s", ErrReference, list)
	}
	return fmt.Errorf("%w: no image is called %q, the names are: %.1000s", ErrReference, want, list)
}

// docker is an archive as "docker save" writes it.
// https://github.com/moby/docker-image-spec
type docker struct{ *files }

// dockerImage is an entry of the archive's manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// images reads manifest.json.
func (d *docker) images() ([]dockerImage, error) {
	text, err := d.read("manifest.json", manifestMax)
	if err != nil {
		return nil, err
	}
	return parseDocker(text)
}

func parseDocker(text []byte) (list []dockerImage, err error) {
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: manifest.json: %w", ErrMalformed, err)
	}
	if len(list) > imagesMax {
		return nil, fmt.Errorf("%w: %d images", rootfs.ErrTooLarge, len(list))
	}
	for _, m := range list {
		if len(m.Layers) > layersMax {
			return nil, fmt.Errorf("%w: %d layers", rootfs.ErrTooLarge, len(m.Layers))
		}
	}
	return list, nil
}

// config gives the configuration of an image, and its digest.
func (d *docker) config(m dockerImage) ([]byte, v1.Hash, error) {
	text, err := d.read(m.Config, configMax)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	sum := sha256.Sum256(text)
	return text, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, nil
}

func (d *docker) resolve(_ context.Context, _ *v1.Platform) (v1.Hash, error) {
	list, err := d.images()
	if err != nil {
		return v1.Hash{}, err
	}
	var names []string
	named := slices.DeleteFunc(slices.Clone(list), func(m dockerImage) bool {
		names = append(names, m.RepoTags...)
		return d.name != "" && !sameName(m.RepoTags, d.name)
	})
	if len(named) == 1 {
		_, h, err := d.config(named[0])
		return h, err
	}
	if len(list) == 0 {
		return v1.Hash{}, fmt.Errorf("%w: the archive has no image", ErrMalformed)
	}
	return v1.Hash{}, noName(d.name, names)
}

func (d *docker) image(_ context.Context, digest v1.Hash, p *v1.Platform) (*image, error) {
	list, err := d.images()
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		text, h, err := d.config(m)
		if err != nil {
			return nil, err
		}
		if h != digest {
			continue
		}
		config, err := parseConfig(text, len(m.Layers))
		if err == nil {
			err = check(config, p)
		}
		if err != nil {
			return nil, err
		}
		one := &image{id: h, config: config}
		for i, l := range m.Layers {
			one.add(l, config.RootFS.DiffIDs[i], func() (io.ReadCloser, error) {
				r, _, err := d.open(l)
				return r, err
			})
		}
		return one, nil
	}
	return nil, fmt.Errorf("%w: no image of the archive has the ID %s", ErrDigest, digest)
}
