package initramfs

import (
	"errors"
	"io"
	"path"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/tree"
)

// kernelNames are what kernels are called.
var kernelNames = []string{"vmlinuz", "vmlinux", "Image"}

// WriteKernel writes the kernel to which the initrd of the same tree and settings belongs. Errors
// wrap layers.ErrDefinition, or are those of the tree and of w.
func WriteKernel(w io.Writer, t tree.Tree, s *layers.Initrd) error {
	version, err := kernelVersion(t, s.Kernel)
	if err != nil {
		return err
	}
	root := lookup.New(t)
	e := findKernel(root, version)
	switch {
	case e == nil && version == "":
		return wrong("the tree has no kernel /boot/vmlinuz, or several")
	case e == nil:
		return wrong("the tree has no kernel /boot/vmlinuz-%s", version)
	}
	r, err := root.Open(e)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// findKernel finds the kernel of a version; where none has its name, the only one there is. nil:
// there is none, or several.
func findKernel(root *lookup.View, version string) *tree.Entry {
	for _, name := range kernelNames {
		for _, at := range []string{"boot/" + name + "-" + version, "lib/modules/" + version + "/" + name} {
			if e := root.Stat(at); version != "" && e != nil && e.Type == tree.Regular {
				return e
			}
		}
	}
	var only *tree.Entry
	for _, sub := range root.Names("boot") {
		e := root.Stat("boot/" + sub)
		name, _, _ := strings.Cut(path.Base(sub), "-")
		if e == nil || e.Type != tree.Regular || name != kernelNames[0] {
			continue
		}
		if only != nil && lookup.Inode(only) != lookup.Inode(e) {
			return nil
		}
		only = e
	}
	return only
}
