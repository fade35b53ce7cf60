//go:build !target

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/command"
	"deltaup/internal/durable"
	"deltaup/internal/human"
	"deltaup/internal/plainfile"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

func newRecompressCommand(env *Env) *command.Command {
	var level string
	cmd := &command.Command{
		Use:   "recompress [flags] INITRD OUTPUT",
		Short: "Compress an initrd so that a unified kernel image with it can be taken apart",
		Long: `Recompress writes to OUTPUT what publish --initrd makes of INITRD: the same
archives, compressed by an encoder that every target has. In a unified kernel
image such an initrd costs a target what changed in its files; any other one that
is compressed costs its whole size. Recompress it before the unified kernel image
is made and signed.`,
		Args: command.Exactly(2),
		Run: func(ctx context.Context, args []string) error {
			return recompress(ctx, env, args[0], args[1], level)
		},
	}
	cmd.Flags().StringVar(&level, "level", "best",
		"how hard to compress: "+strings.Join(mkimage.Levels(), ", "))
	return cmd
}

func recompress(ctx context.Context, env *Env, input, output, level string) error {
	if _, err := mkimage.CodecFor(level); err != nil {
		return &usageError{err}
	}
	if err := replaceable(output); err != nil {
		return &usageError{err}
	}
	in, err := plainfile.Open(input)
	if err != nil {
		return err
	}
	defer in.Close() // read only
	spool, err := os.CreateTemp("", "deltaup-initrd")
	if err != nil {
		return err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	r, src, err := initrd.NewRecipe(ctx, in, initrd.Options{Level: level, Spool: spool})
	if err != nil {
		return fmt.Errorf("%s: %w", input, err)
	}
	var stats initrd.BuildStats
	err = durable.WriteFile(filepath.Dir(output), output, func(w io.Writer) error {
		stats, err = initrd.Build(ctx, r, src, w)
		return err
	})
	if err != nil {
		return err
	}
	return printf(env.Stdout, "%s: %s\n", output, human.Size(stats.Size))
}
