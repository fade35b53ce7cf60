//go:build !target

package main

import (
	"context"

	"github.com/spf13/pflag"
)

func addMirrorFlag(f *pflag.FlagSet, mirror *string) {
	f.StringVar(mirror, "mirror", "", "IMAGE is a version of the mirror in `DIR`")
}

// imageOnMirror finds the image of a version on a mirror in a folder.
func imageOnMirror(ctx context.Context, dir, version string) (string, error) {
	image, _, err := onMirror(ctx, dir, version)
	return image, err
}
