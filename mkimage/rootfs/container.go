package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// ErrContainer is wrapped when a tree is not a root file system but what container tools keep one
// in: an image as a layout of layers, or one layer with marks of what it removes from those below.
// Options.ContainerFiles takes all of it for files.
var ErrContainer = errors.New("of a container, no root file system")

// whiteout is what OCI and Docker put before the name of a file that a layer removes.
const whiteout = ".wh."

// checkContainer refuses whole container images and layers that remove something.
func checkContainer(entries []tree.Entry) error {
	var marks tally
	var top layout
	for i := range entries {
		e := &entries[i]
		if isWhiteout(e) {
			marks.add(1, e.Path)
		}
		top.look(e)
	}
	switch what := top.what(); {
	case what != "":
		return fmt.Errorf("%w: it is %s, whose root file system is in its layers", ErrContainer,
			what)
	case marks.n > 0:
		return fmt.Errorf(
			"%w: it is a layer with %d marks of what it removes from the layers below, first %s",
			ErrContainer,
			marks.n,
			show("/"+marks.first),
		)
	}
	return nil
}

// isWhiteout recognizes the marks of OCI layers (names) and of overlayfs (a device
// 0:0, or extended attributes).
func isWhiteout(e *tree.Entry) bool {
	if strings.HasPrefix(path.Base(e.Path), whiteout) {
		return true
	}
	if e.Type == tree.CharDevice && e.Major == 0 && e.Minor == 0 {
		return true
	}
	for _, x := range e.Xattrs {
		_, rest, _ := strings.Cut(x.Name, ".")
		switch rest {
		case "overlay.opaque",
			"overlay.whiteout",
			"overlay.whiteouts",
			"overlay.redirect",
			"overlay.metacopy":
			return true
		}
	}
	return false
}

// layout gathers what the root and its folders have of a container image's parts.
type layout struct {
	ociLayout, index, manifest, repositories, blobs, layerTar, hashName bool
}

// look takes note of one entry.
func (l *layout) look(e *tree.Entry) {
	dir, name := path.Split(e.Path)
	depth := strings.Count(dir, "/")
	if depth > 1 {
		return
	}
	folder := e.Type == tree.Directory
	switch {
	case depth == 1:
		l.layerTar = l.layerTar || name == "layer.tar"
	case name == "blobs":
		l.blobs = l.blobs || folder
	case folder:
	case name == "oci-layout":
		l.ociLayout = true
	case name == "index.json":
		l.index = true
	case name == "manifest.json":
		l.manifest = true
	case name == "repositories":
		l.repositories = true
	default:
		l.hashName = l.hashName || isHashName(name)
	}
}

// what names the container image, or is empty.
func (l *layout) what() string {
	switch {
	case l.manifest && (l.repositories || l.layerTar || l.blobs && !l.ociLayout):
		return `a saved container image ("docker save")`
	case l.ociLayout && (l.index || l.blobs):
		return "a container image as an OCI layout"
	case l.manifest && l.hashName:
		return `a container image as a folder of blobs ("skopeo copy ... dir:")`
	}
	return ""
}

// isHashName recognizes a SHA-256 in hexadecimal, with or without a suffix.
func isHashName(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".json"), ".tar")
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}
