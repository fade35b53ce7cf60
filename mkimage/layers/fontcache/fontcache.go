// Package fontcache makes fontconfig's caches of the folders with fonts, byte for byte as
// fc-cache(1) of fontconfig 2.14.1 and 2.15.0 does on 64-bit PCs and ARM machines. [Build] does it
// all.
//
// A folder with a font that this package does not read just as FreeType does has no cache: there
// fontconfig reads the fonts itself. What fontconfig would read of users' homes counts for nothing,
// as with the program's -s.
package fontcache

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// ErrUnknown is wrapped by errors about trees without a fontconfig that is known.
var ErrUnknown = errors.New("no fontconfig that is known")

// File is a file of the caches.
type File struct {
	Path    string // below the root, without a leading slash
	Content []byte
}

// Limits of what hostile trees can ask for.
const (
	foldersMax  = 1 << 14
	fontMax     = 256 << 20 // bytes of a file
	fontsMax    = 1 << 16   // of a folder
	patternsMax = 1 << 13   // of a file: its fonts, and the instances of these
	cachesMax   = 64 << 20  // bytes of all caches, about; a font's has a few thousand
)

// tag is the file that tells programs for backups that the folder is a cache.
const tag = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by fontconfig.
# For information about cache directory tags, see:
#       http://www.brynosaurus.com/cachedir/
`

// builder makes the caches of a tree.
type builder struct {
	root    *lookup.View
	release *release
	config  *config
	done    map[string]bool // folders, by the paths that fontconfig has for them
	room    int             // bytes that are left for caches
	files   []File
	notes   []string
}

// Build makes the caches of a tree, which stays open. Notes say which folders have none, and why.
// none: the tree has not the program. Errors wrap ErrUnknown, or are those of the tree.
func Build(t tree.Tree) (files []File, notes []string, err error) {
	root := lookup.New(t)
	if root.Stat("usr/bin/fc-cache") == nil {
		return nil, nil, nil
	}
	b := &builder{root: root, done: map[string]bool{}, room: cachesMax}
	if b.release, err = findRelease(root); err != nil {
		return nil, nil, err
	}
	if b.config, err = readConfig(root); err != nil {
		return nil, nil, err
	}
	b.files = []File{{b.config.caches[1:] + "/CACHEDIR.TAG", []byte(tag)}}
	for _, dir := range b.config.dirs {
		if err := b.folders(dir); err != nil {
			return nil, nil, err
		}
	}
	return b.files, b.notes, nil
}

// folders makes the caches of a folder and of those in it.
func (b *builder) folders(dir string) error {
	at := b.root.Stat(dir)
	if at == nil || at.Type != tree.Directory || b.done[dir] {
		return nil
	}
	if b.done[dir] = true; len(b.done) > foldersMax {
		return fmt.Errorf("%w: more than %d folders with fonts", ErrUnknown, foldersMax)
	}
	cache, subfolders, err := b.folder(dir, at)
	if errors.Is(err, errUnread) {
		b.notes = append(b.notes, fmt.Sprintf("no font cache for %s: %v", dir, err))
	} else if err != nil {
		return err
	} else {
		b.files = append(b.files, File{b.config.caches[1:] + "/" + b.release.cacheName(dir), cache})
	}
	for _, s := range subfolders {
		if err := b.folders(s); err != nil {
			return err
		}
	}
	return nil
}

// cacheName is the name of a folder's cache.
func (r *release) cacheName(dir string) string {
	sum := md5.Sum([]byte(dir))
	return fmt.Sprintf("%s-le64.cache-%d", hex.EncodeToString(sum[:]), r.cache)
}
