// Package verify reads what lies on a mirror and holds it against what names it: small files, the
// recipes and patch sets of a release. A patch set is applied as a target applies it.
package verify

import (
	"context"
	"fmt"
	"io"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Small reads a whole file that may not be longer than limit.
func Small(path string, limit int64) ([]byte, error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: %w: longer than %d bytes", path, chunkstore.ErrCorrupt, limit)
	}
	return b, nil
}

// Verified reads a whole file that must be o, of at most limit bytes.
func Verified(path string, o mirror.Object, limit int64) ([]byte, error) {
	b, err := Small(path, limit)
	if err == nil && mirror.ObjectOf(b) != o {
		err = fmt.Errorf("%s: %w: it has another hash", path, chunkstore.ErrCorrupt)
	}
	return b, err
}

// Release reads and parses a release file.
func Release(path string) (*mirror.Release, error) {
	b, err := Small(path, mirror.MaxReleaseSize)
	if err != nil {
		return nil, err
	}
	return mirror.ParseRelease(b)
}

// Pointer reads and parses a pointer.
func Pointer(path string) (*mirror.Pointer, error) {
	b, err := Small(path, mirror.MaxPointerSize)
	if err != nil {
		return nil, err
	}
	return mirror.ParsePointer(b)
}

// Recipe reads a recipe from a mirror's folder and verifies it; path turns names into paths.
func Recipe(path func(name string) string, o *mirror.RecipeObject) (*mkimage.Recipe, error) {
	stored, err := Verified(path(mirror.RecipePath(o.ID)), o.Object, mirror.MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	return o.Decode(stored)
}

// Beside reads the recipe of an artifact of r from a mirror's folder, with the image's, which it
// needs.
func Beside(path func(name string) string, r *mirror.Release,
	a *mirror.Artifact) (artifact.Recipe, error) {
	image, err := Recipe(path, r.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		return nil, err
	}
	o := a.Recipe
	stored, err := Verified(path(mirror.RecipePath(o.ID)), o.Object, mirror.MaxRecipeSize)
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

// Writer passes on what is written and hashes it.
type Writer struct {
	w      io.Writer
	hasher *chunkstore.Hasher
}

// NewWriter makes one that writes to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, hasher: chunkstore.NewHasher()}
}

func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.hasher.Write(p[:n])
	return n, err
}

// ID is the hash of what was written so far.
func (w *Writer) ID() chunkstore.ID { return w.hasher.ID() }
