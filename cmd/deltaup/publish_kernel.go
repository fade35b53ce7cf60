//go:build !target

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mirror/publish"
	"deltaup/mkimage"
)

// kernelAuto is what --kernel names instead of a file for the kernel in the image.
const kernelAuto = "auto"

// kernelPlaces are where distributions have kernels in their root file system.
var kernelPlaces = []string{
	"usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz", "boot/vmlinuz-*", "boot/vmlinuz",
}

// kernelFile copies the kernel in the image to a file of its own, and names it in o. remove takes
// that file away.
func (o *publishOptions) kernelFile(ctx context.Context) (remove func(), err error) {
	if o.raw {
		return nil, &usageError{fmt.Errorf("--kernel %s and --raw exclude each other", kernelAuto)}
	}
	name, err := kernelIn(o.image)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "deltaup-kernel")
	if err != nil {
		return nil, err
	}
	remove = func() { os.Remove(f.Name()) }
	err = cat(ctx, f, o.image, name)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		remove()
		return nil, err
	}
	o.kernel = f.Name()
	return remove, nil
}

// kernelIn finds the one kernel in an image by the recipe beside it.
func kernelIn(image string) (name string, err error) {
	file := image + publish.RecipeSuffix
	text, err := plainfile.Read(file, mirror.MaxPlainRecipeSize)
	if err != nil {
		return "", fmt.Errorf("--kernel %s: %w", kernelAuto, err)
	}
	r, err := mkimage.ParseRecipe(strings.NewReader(string(text)))
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	found := map[chunkstore.ID]string{}
	for _, e := range r.Entries.All() {
		if e.Content != nil && isKernelPlace(e.Path) {
			found[e.Content.ID] = e.Path
		}
	}
	names := slices.Sorted(maps.Values(found))
	switch len(names) {
	case 0:
		return "", &usageError{fmt.Errorf("--kernel %s: the image has no %s", kernelAuto,
			strings.Join(kernelPlaces, ", "))}
	case 1:
		return names[0], nil
	}
	return "", &usageError{fmt.Errorf("--kernel %s: the image has several: %s", kernelAuto,
		strings.Join(names, ", "))}
}

func isKernelPlace(name string) bool {
	for _, place := range kernelPlaces {
		if ok, _ := path.Match(place, name); ok { // the places are well-formed
			return true
		}
	}
	return false
}
