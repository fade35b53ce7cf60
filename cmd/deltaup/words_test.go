package main

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"
)

// shared are names that several packages give a type, and why that is no second meaning. All other
// words of the product name one type.
var shared = map[string]string{
	"Block":      "of squashfs data; GRUB's own term for its environment block",
	"BuildStats": "what the Build of a package tells",
	"Change":     "what becomes of a key, of a path",
	"Contents":   "the contents of a release, at hand or as lines of text",
	"Damage":     "what is wrong with a file: of a slot, of a mirror",
	"Difference": "what two trees, or the settings of two times, have in different ways",
	"Entry":      "a line of the table that the package is about",
	"Event":      "what happens in a run of the package",
	"File":       "a file of the kind that the package is about",
	"Folder":     "a folder of the kind that the package is about",
	"HTTP":       "settings of HTTP: as configured, as used",
	"Image":      "a squashfs image: to be written, opened",
	"Index":      "where something lies",
	"Info":       "what there is to say about the package's subject",
	"Kind":       "one of a few sorts",
	"List":       "several of the package's subject",
	"Loader":     "the boot loader: what every one does, and GRUB",
	"Options":    "of the package's main function",
	"Package":    "a binary package: of Alpine, of Debian",
	"Params":     "of the package's algorithm",
	"Phase":      "a part of the work whose progress is told",
	"Piece":      "a piece of an image: as listed, as fetched",
	"Place":      "where something lies on a disk",
	"Progress":   "how far the work is",
	"Reader":     "an io.Reader",
	"Recipe":     "a recipe: any, of an image, of an initrd",
	"Report":     "what the package found",
	"Result":     "what the package's main function achieved",
	"Route":      "how contents reach a target: chosen, reported",
	"Set":        "a patch set: in a mirror, verified",
	"Side":       "the old or the new one of two",
	"Source":     "what contents are read from",
	"Spool":      "one interface, declared where it is taken",
	"Stage":      "a part of a run that events tell",
	"State":      "what a channel, a loader knows and keeps",
	"Stats":      "counts of a run",
	"Status":     "how the package's subject is",
	"Store":      "where a publisher's files or chunks lie",
	"View":       "what is to be seen of a tree, of a machine",
	"Writer":     "an io.Writer",
	"Xattr":      "an extended attribute",
}

// TestWords: an exported type's name means one thing in all packages, as doc/glossary.md demands.
func TestWords(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks everything")
	}
	packages := map[string][]string{} // of each name
	for _, pkg := range checkedProgram(t).ours {
		if testOnly(ourPath(pkg)) {
			continue
		}
		for _, name := range pkg.Scope().Names() {
			_, isType := pkg.Scope().Lookup(name).(*types.TypeName)
			if isType && ast.IsExported(name) {
				packages[name] = append(packages[name], ourPath(pkg))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		if p := packages[name]; len(p) > 1 && shared[name] == "" {
			t.Errorf("%s is a type of %s: rename it, or say in shared why it is one word", name,
				strings.Join(p, ", "))
		}
	}
	for name := range shared {
		if len(packages[name]) < 2 {
			t.Errorf("shared has %s, which names no two types", name)
		}
	}
}
