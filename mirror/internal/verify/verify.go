// Package verify reads what lies on a mirror and holds it against what names it: small files, the
// recipes and patch sets of a release. A patch set is applied as a target applies it.
package verify

import (
	"context"
	"io"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/mirror"
)

// Release reads and parses the release file of a version.
func Release(ctx context.Context, files mirror.Files, version string) (*mirror.Release, error) {
	b, err := mirror.ReadFile(ctx, files, mirror.ReleasePath(version), mirror.MaxReleaseSize)
	if err != nil {
		return nil, err
	}
	return mirror.ParseRelease(b)
}

// Pointer reads and parses the pointer of a channel.
func Pointer(ctx context.Context, files mirror.Files, channel string) (*mirror.Pointer, error) {
	b, err := mirror.ReadFile(ctx, files, mirror.PointerPath(channel), mirror.MaxPointerSize)
	if err != nil {
		return nil, err
	}
	return mirror.ParsePointer(b)
}

// beside reads the recipe of an artifact of r, and the image's, which it needs.
func beside(ctx context.Context, files mirror.Files, r *mirror.Release,
	a *mirror.Artifact) (artifact.Recipe, error) {
	image, err := mirror.ReadRecipe(ctx, files, r.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		return nil, err
	}
	o := a.Recipe
	stored, err := mirror.ReadVerified(ctx, files, mirror.RecipePath(o.ID), o.Object,
		mirror.MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	return a.DecodeBeside(stored, image)
}

// Hash hashes r to its end; step, which may be nil, is told of each piece.
func Hash(ctx context.Context, r io.Reader, step func(n int)) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return chunkstore.ID{}, err
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if step != nil {
			step(n)
		}
		if err == io.EOF {
			return h.ID(), nil
		}
		if err != nil {
			return chunkstore.ID{}, err
		}
	}
}
