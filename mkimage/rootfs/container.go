package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// ErrContainer is wrapped when a tree is no root file system but a container image in layers, or a
// layer with marks of files that it removes from the layers below. With Options.ContainerFiles
// these files and marks count as files of the tree.
var ErrContainer = errors.New("of a container, no root file system")

// whiteout is the prefix with which OCI and Docker mark the name of a file that a layer removes.
const whiteout = ".wh."

// checkContainer refuses container images, and layers that remove files.
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
			ErrContainer, marks.n, show("/"+marks.first))
	}
	return nil
}

// isWhiteout tells whether an entry is a mark of an OCI layer (a name) or of overlayfs (a device
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

// layout collects the parts of a container image that a tree has.
type layout struct {
	ociLayout, index, manifest, repositories, blobs, layerTar, hashName bool
}

// look notes one entry.
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

// what names the kind of container image, or is "" when the tree is none.
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

// isHashName tells whether a name is a SHA-256 in hexadecimal, with or without a suffix.
func isHashName(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".json"), ".tar")
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}
