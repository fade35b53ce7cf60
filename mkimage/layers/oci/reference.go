package oci

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
)

// Reference says where an image is.
type Reference struct {
	Path   string // of a layout's folder or of an archive; "": the image is in a registry
	Name   string // which of the images there; "": the only one. In a registry: REGISTRY/NAME:TAG
	Digest string // sha256:...; "": none
}

// saved are the transports, as skopeo(1) calls them, of images in files and folders. What is there
// says which of them it is.
var saved = []string{"oci:", "oci-archive:", "docker-archive:"}

// ParseReference reads a reference in one of these forms, each of which may end in @sha256:DIGEST:
//
//	oci:PATH[:NAME]             a folder in OCI's image layout
//	oci-archive:PATH[:NAME]     its archive
//	docker-archive:PATH[:NAME]  what "docker save" writes
//	/PATH[:NAME], ./PATH, ../PATH  any of these
//	[docker://][REGISTRY/]NAME[:TAG]
//
// A path ends at its first colon. Errors wrap ErrReference.
func ParseReference(s string) (Reference, error) {
	rest, digest, found := strings.Cut(s, "@")
	r := Reference{Digest: digest}
	if _, err := r.digest(""); err != nil || found && digest == "" {
		return Reference{}, fmt.Errorf("%w: %q: want @sha256: and 64 hexadecimal digits at its end",
			ErrReference, s)
	}
	path, isPath := rest, false
	for _, prefix := range saved {
		if after, ok := strings.CutPrefix(rest, prefix); ok {
			path, isPath = after, true
			break
		}
	}
	for _, prefix := range []string{"/", "./", "../"} {
		isPath = isPath || strings.HasPrefix(rest, prefix)
	}
	if isPath {
		r.Path, r.Name, _ = strings.Cut(path, ":")
		if r.Path == "" || strings.ContainsRune(r.Path, 0) {
			return Reference{}, fmt.Errorf("%w: %q has no path", ErrReference, s)
		}
		return r, nil
	}
	r.Name = strings.TrimPrefix(rest, "docker://")
	if _, err := name.NewTag(r.Name); err != nil {
		return Reference{}, fmt.Errorf("%w: %q: %w", ErrReference, s, err)
	}
	return r, nil
}

func (r Reference) String() string {
	s := r.Name
	if r.Path != "" {
		s = r.Path
		if r.Name != "" {
			s += ":" + r.Name
		}
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// digest gives the digest that the image must have, zero if none is known. The locked one must not
// contradict the reference.
func (r Reference) digest(locked string) (v1.Hash, error) {
	if locked != "" && r.Digest != "" && locked != r.Digest {
		return v1.Hash{}, fmt.Errorf("%w: %s is locked to %s", ErrDigest, r, locked)
	}
	s := locked + r.Digest
	if locked == r.Digest {
		s = locked
	}
	if s == "" {
		return v1.Hash{}, nil
	}
	h, err := v1.NewHash(s)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("%w: %w", ErrReference, err)
	}
	return h, nil
}

// open opens what the reference leads to.
func (r Reference) open(ctx context.Context, o *Options) (input, error) {
	if r.Path == "" {
		return newRegistry(r, o)
	}
	t, err := rootfs.Open(ctx, r.Path, rootfs.Options{ContainerFiles: true})
	if err != nil {
		return nil, err
	}
	return newSaved(r, t)
}
