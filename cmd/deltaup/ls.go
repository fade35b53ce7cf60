package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

func newLsCommand(env *Env) *command.Command {
	return &command.Command{
		Use:   "ls IMAGE [PATH]",
		Short: "List what is in a squashfs image",
		Long: `List a squashfs image, or what is at and below PATH in it: mode, owner and group
as numbers, size (or device number), time (UTC), path. Names that could be
misread are quoted, see doc/output.md.`,
		Args: command.Between(1, 2),
		Run: func(ctx context.Context, args []string) error {
			var path string
			if len(args) == 2 {
				path = args[1]
			}
			return ls(ctx, env.Stdout, args[0], path)
		},
	}
}

func ls(ctx context.Context, stdout io.Writer, image, path string) error {
	m, err := openImage(image)
	if err != nil {
		return err
	}
	defer m.Close() // read only
	out := bufio.NewWriter(stdout)
	err = listImage(ctx, out, m.Image, path)
	if err != nil {
		err = fmt.Errorf("%s: %w", image, err)
	}
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

func listImage(ctx context.Context, out io.Writer, m *squashfs.Image, path string) error {
	top, err := m.Lookup(strings.Trim(path, "/"))
	if err != nil {
		return err
	}
	return m.WalkFrom(top, func(n *squashfs.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return printf(out, "%s\n", listLine(n))
	})
}

// openImage opens the squashfs image in a file or on a block device, wherever it begins there.
func openImage(path string) (*squashfs.ImageFile, error) {
	f, err := squashfs.OpenOnly(path)
	var noFile *fs.PathError
	if errors.Is(err, squashfs.ErrNoFile) || errors.As(err, &noFile) { // they name the path
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// listLine is one line of the list, in the columns of unsquashfs -lln.
func listLine(n *squashfs.Node) string {
	owner := fmt.Sprintf("%d/%d", n.UID, n.GID)
	size := strconv.FormatInt(n.StatSize(), 10)
	if n.Type == tree.BlockDevice || n.Type == tree.CharDevice {
		size = fmt.Sprintf("%3d,%3d", n.Major, n.Minor)
	}
	width := max(0, 26-len(owner))
	when := time.Unix(int64(n.ModTime), 0).UTC().Format("2006-01-02 15:04")
	path := "."
	if n.Path != "" {
		path = human.Name(n.Path)
	}
	line := fmt.Sprintf("%s %s %*s %s %s", modeString(n), owner, width, size, when, path)
	if n.Type == tree.Symlink {
		line += " -> " + human.Name(n.Target)
	}
	return line
}

// modeString is type and permissions as ls -l shows them.
func modeString(n *squashfs.Node) string {
	letters := []byte("?rwxrwxrwx")
	letters[0] = "?d-lbcps"[n.Type]
	for i := range 9 {
		if n.Mode&(0o400>>i) == 0 {
			letters[1+i] = '-'
		}
	}
	for _, special := range []struct {
		bit   uint16
		at    int
		shown string // without and with the execute bit
	}{{0o4000, 3, "Ss"}, {0o2000, 6, "Ss"}, {0o1000, 9, "Tt"}} {
		if n.Mode&special.bit == 0 {
			continue
		}
		with := 0
		if letters[special.at] == 'x' {
			with = 1
		}
		letters[special.at] = special.shown[with]
	}
	return string(letters)
}
