//go:build target

package main

import (
	"context"
	"errors"

	"github.com/spf13/pflag"
)

// addMirrorFlag adds nothing: mirrors in folders are a publisher's.
func addMirrorFlag(*pflag.FlagSet, *string) {}

func imageOnMirror(context.Context, string, string) (string, error) {
	return "", errors.New("this build reads no mirrors in folders")
}
