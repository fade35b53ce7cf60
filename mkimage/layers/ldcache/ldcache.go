// Package ldcache makes /etc/ld.so.cache of a tree, byte for byte as the ldconfig of the tree's own
// glibc does, and tells which symbolic links that ldconfig makes. [Build] does it all.
//
// It knows glibc 2.33 and later as Debian and Ubuntu build it for amd64 and arm64. Where ldconfig's
// result depends on the order in which a file system lists a folder, which takes two libraries
// with the same name but for leading zeros of a number, it takes path order.
package ldcache

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// Path is where the cache lies in a tree.
const Path = "etc/ld.so.cache"

var (
	// ErrUnknown is wrapped when the tree has no glibc whose ldconfig is known.
	ErrUnknown = errors.New("no known ldconfig")
	// ErrConfig is wrapped by errors about ld.so.conf and the files that it includes.
	ErrConfig = errors.New("ld.so.conf")
)

// Result is what ldconfig makes of a tree.
type Result struct {
	Cache []byte // content of etc/ld.so.cache, which has mode 0644
	// Links are the symbolic links from the names that programs want to the libraries, which the
	// tree lacks or has with other targets. By path.
	Links []Link
	// Stale are dangling symbolic links that ldconfig removes, as paths of the tree.
	Stale []string
}

// Link is a symbolic link.
type Link struct{ Path, Target string }

// Build makes the cache of a tree, which stays open. Errors wrap ErrUnknown or ErrConfig, or are
// those of the tree.
func Build(t tree.Tree) (Result, error) {
	root := lookup.New(t)
	g, err := findGlibc(root)
	if err != nil {
		return Result{}, err
	}
	b := &builder{root: root, glibc: g, inodes: map[string]bool{}, strings: map[string]uint32{}}
	if err := b.config(); err != nil {
		return Result{}, err
	}
	for i := 0; i < len(b.folders); i++ { // the list may grow
		if err := b.search(b.folders[i]); err != nil {
			return Result{}, err
		}
	}
	if b.result.Cache, err = b.encode(); err != nil {
		return Result{}, err
	}
	return b.result, nil
}

// builder makes the cache of one tree.
type builder struct {
	root    *lookup.View
	glibc   glibc
	folders []folder
	inodes  map[string]bool // folders found so far, by their paths without symbolic links
	libs    []library       // as the cache has them, but unsorted
	strings map[string]uint32
	size    int // of the libraries' names, in bytes
	result  Result
}

// folder is one that ldconfig searches.
type folder struct {
	path   string // as the configuration has it: "/lib/x86_64-linux-gnu"
	real   string // path in the tree, without symbolic links
	hwcaps string // name of the subfolder of glibc-hwcaps; "": none
}

// Folders are few, and each is looked for among the others. Only a hostile configuration has more.
const foldersMax = 10_000

// addFolder adds a folder and those for better processors in it, unless it is there already.
func (b *builder) addFolder(line string) error {
	name := strings.TrimRight(strings.TrimRight(line, " \t\n\v\f\r"), "/")
	if b.glibc.old() {
		name, _, _ = strings.Cut(name, "=") // the library type; all are of one type today
	}
	e := b.root.Stat(name)
	if name == "" || e == nil || e.Type != tree.Directory {
		return nil
	}
	if added, err := b.addReal(folder{name, e.Path, ""}); err != nil || !added {
		return err
	}
	hwcaps := path.Join(e.Path, "glibc-hwcaps")
	for _, sub := range b.root.Names(hwcaps) {
		in := b.root.Lstat(path.Join(hwcaps, sub))
		if sub[0] == '.' || in.Type == tree.Regular || strings.Contains(sub, ":") {
			continue
		}
		to := b.root.Stat(path.Join(hwcaps, sub))
		if to == nil || to.Type != tree.Directory {
			continue
		}
		b.strings[sub] = 0
		if _, err := b.addReal(folder{name + "/glibc-hwcaps/" + sub, to.Path, sub}); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addReal(f folder) (added bool, err error) {
	if b.inodes[f.real] {
		return false, nil
	}
	if len(b.folders) == foldersMax {
		return false, fmt.Errorf("%w: more than %d folders", ErrConfig, foldersMax)
	}
	b.inodes[f.real] = true
	b.folders = append(b.folders, f)
	return true, nil
}
