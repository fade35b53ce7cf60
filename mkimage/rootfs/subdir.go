package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// cleanSubdir makes Options.Subdir a clean path from the input's root.
func cleanSubdir(dir string) string { return strings.TrimPrefix(path.Join("/", dir), "/") }

// followInFolder resolves the symbolic links in a path below root, as after a chroot to root: none
// leads out of it.
func followInFolder(root, dir string) (string, error) {
	return followLinks(dir, func(at string) (target string, folder bool, err error) {
		info, err := os.Lstat(filepath.Join(root, at))
		if err != nil {
			return "", false, err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			target, err = os.Readlink(filepath.Join(root, at))
		}
		return target, info.IsDir(), err
	})
}

// followInImage is followInFolder in an image. It gives the folder.
func followInImage(m *squashfs.Image, dir string) (*squashfs.Node, error) {
	resolved, err := followLinks(dir, func(at string) (target string, folder bool, err error) {
		n, err := m.Lookup(at)
		if err != nil {
			return "", false, err
		}
		return n.Target, n.Type == tree.Directory, nil
	})
	if err != nil {
		return nil, err
	}
	return m.Lookup(resolved)
}

// followLinks resolves the symbolic links in the path dir of a folder. look examines a path without
// links before its last name, and gives the target of a link, which is not empty.
func followLinks(dir string,
	look func(at string) (target string, folder bool, err error)) (string, error) {
	at, rest, links := "", dir, 0
	for rest != "" {
		var base string
		base, rest, _ = strings.Cut(rest, "/")
		switch base {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return "", fmt.Errorf("%w: symbolic links on the way to %s lead out of the tree",
					ErrMalformed, show(dir))
			}
			at = parentOf(at)
			continue
		}
		next := joinPath(at, base)
		target, folder, err := look(next)
		switch {
		case err != nil:
			return "", err
		case target != "":
			if links++; links > tree.MaxSymlinks {
				return "", fmt.Errorf("%w: too many symbolic links on the way to %s", ErrMalformed,
					show(dir))
			}
			if strings.HasPrefix(target, "/") {
				at = ""
			}
			rest = target + "/" + rest
		case !folder:
			return "", fmt.Errorf("%w: %s is no folder", ErrMalformed, show(next))
		default:
			at = next
		}
	}
	return at, nil
}
