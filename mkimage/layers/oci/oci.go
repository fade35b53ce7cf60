// Package oci reads the root file system of a container image: from a registry, a folder in OCI's
// image layout, or an archive of either OCI's or Docker's format. It gives one tree, in which the
// image's layers lie one upon the other. It runs nothing.
//
// Begin with [ParseReference]. [Resolve] tells the digest that a reference names now, and [Open]
// reads the image that has this digest.
//
// Whatever is read is verified by its digest: from the reference's to that of each layer, both as it
// is sent and unpacked. Of go-containerregistry the package uses the client and the types. Its
// readers of layouts and of archives are not used since they trust their input.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

var (
	// ErrReference is wrapped when a reference cannot be understood, or names nothing.
	ErrReference = errors.New("reference of a container image")
	// ErrUnlocked is wrapped when nothing says which digest an image of a registry must have.
	ErrUnlocked = errors.New("a tag of a registry may change: want a digest")
	// ErrDigest is wrapped when something has not the digest or size that it must have.
	ErrDigest = errors.New("digest mismatch")
	// ErrPlatform is wrapped when there is no image for an architecture.
	ErrPlatform = errors.New("no such platform")
	// ErrMalformed is wrapped when something is no container image.
	ErrMalformed = errors.New("malformed container image")
)

// Bounds of an image. Registries refuse manifests of more than 4 MiB.
const (
	manifestMax = 4 << 20  // bytes of a manifest or an index
	configMax   = 16 << 20 // bytes of a configuration
	layersMax   = 256
	imagesMax   = 256      // of Docker's archive
	blobsMax    = 64 << 30 // bytes of all layers, as they are sent
	indexDepth  = 4        // indexes that lead from one to the next
)

// Options are what an image is chosen and read by.
type Options struct {
	// Architecture is that of the image as Go, OCI or Debian call it, such as amd64, arm/v7,
	// linux/arm64/v8 or armhf. "": whatever it is, if there is just one.
	Architecture string
	// Digest is the locked one, as Resolve gives it. "": the reference's own.
	Digest string
	// Clamp replaces later modification times; nil: as the layers say.
	Clamp *uint32
	// Cache is a folder for all that comes from registries, by digest.
	Cache string
	// Keychain knows users of registries; nil: nobody is one.
	Keychain  authn.Keychain
	transport http.RoundTripper // sends requests to registries; nil: the usual one
}

// Image is the root file system of an image.
type Image struct {
	Digest   string // of the index or manifest that was asked for; of Docker's archives: the ID
	ID       string // the digest of the configuration, as Docker shows it
	Platform string // such as linux/arm/v7
	tree.Tree
}

// input is where images come from.
type input interface {
	// resolve gives the digest that the reference names now.
	resolve(ctx context.Context, p *v1.Platform) (v1.Hash, error)
	// image gives the image with a digest.
	image(ctx context.Context, digest v1.Hash, p *v1.Platform) (*image, error)
	io.Closer
}

// image is an image before its layers are read.
type image struct {
	id     v1.Hash
	config *v1.ConfigFile
	layers []rootfs.ContainerLayer
}

// Resolve gives the digest that a reference names now, such as sha256:0123..., for locking. For the
// images of several platforms it is that of their index, where they have one. Of Docker's archives
// it is that of the configuration, their ID.
func Resolve(ctx context.Context, ref Reference, o Options) (digest string, err error) {
	p, err := parsePlatform(o.Architecture)
	if err != nil {
		return "", err
	}
	in, err := ref.open(ctx, &o)
	if err != nil {
		return "", err
	}
	defer in.Close() // it was only read
	h, err := in.resolve(ctx, p)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return h.String(), nil
}

// Open reads an image. One of a registry must have a digest, in the reference or the options, and
// is fetched into Options.Cache unless it is there. Closing the image frees the room that the
// unpacked layers take in the system's folder for temporary files. Errors wrap those of this package
// or of rootfs, or are those of the system or of registries.
func Open(ctx context.Context, ref Reference, o Options) (*Image, error) {
	p, err := parsePlatform(o.Architecture)
	if err != nil {
		return nil, err
	}
	in, err := ref.open(ctx, &o)
	if err != nil {
		return nil, err
	}
	m, err := open(ctx, in, ref, o, p)
	if err = errors.Join(err, in.Close()); err != nil {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return m, nil
}

func open(ctx context.Context, in input, ref Reference, o Options, p *v1.Platform) (*Image, error) {
	digest, err := ref.digest(o.Digest)
	if err != nil {
		return nil, err
	}
	if digest == (v1.Hash{}) {
		if ref.Path == "" {
			return nil, ErrUnlocked
		}
		if digest, err = in.resolve(ctx, p); err != nil {
			return nil, err
		}
	}
	m, err := in.image(ctx, digest, p)
	if err != nil {
		return nil, err
	}
	t, err := rootfs.FromLayers(ctx, m.layers, rootfs.Options{Clamp: o.Clamp, Empty: true})
	if err != nil {
		return nil, err
	}
	return &Image{
		Digest: digest.String(), ID: m.id.String(), Platform: show(m.config.Platform()), Tree: t,
	}, nil
}
