package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"deltaup/internal/command"
	"deltaup/mkimage/tree"
)

func newCatCommand(env *Env) *command.Command {
	return &command.Command{
		Use:   "cat IMAGE PATH",
		Short: "Print a file of a squashfs image",
		Long:  "Print the content of the regular file PATH of a squashfs image. Symbolic links are not followed.",
		Args:  command.Exactly(2),
		Run: func(ctx context.Context, args []string) error {
			return cat(ctx, env.Stdout, args[0], args[1])
		},
	}
}

func cat(ctx context.Context, stdout io.Writer, image, path string) error {
	m, err := openImage(image)
	if err != nil {
		return err
	}
	defer m.Close() // read only
	n, err := m.Lookup(strings.Trim(path, "/"))
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	if n.Type == tree.Symlink {
		return fmt.Errorf("%s: %q is a symbolic link to %q", image, path, n.Target)
	}
	content, err := m.File(n)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	// A block of the image at a time: read straight into it.
	buf := make([]byte, m.Info().BlockSize)
	for at := int64(0); at < content.Size(); at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := content.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s: %w", image, err)
		}
		if _, err := stdout.Write(buf[:k]); err != nil {
			return err
		}
	}
	return nil
}
