package artifact

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// Paths of a listing.
const (
	recipePath = "recipe" // a recipe, or what it is compared with
	filesPath  = "files"  // folder of contents, each under its first name in the artifact
	oddPath    = "odd"    // folder of contents whose name no tree can have or is in use, by numbers
)

// listing is one end of a set: the text of a recipe and contents of it, in the form of the recipe
// of an image that nobody builds. Its chunks do not matter.
type listing struct {
	recipe *mkimage.Recipe
	text   []byte
	textID chunkstore.ID

	paths   map[string]*chunkstore.Content
	folders map[string]bool
}

func (l *listing) reader() io.ReaderAt { return bytes.NewReader(l.text) }

// oldListing lists all contents of the old artifact. Its text is the dictionary of recipes beside
// the image, with the old artifact's recipe behind it.
func oldListing(k Kind, old Recipe, image *mkimage.Recipe, byName bool) (*listing, error) {
	text, err := stripped(old)
	if err != nil {
		return nil, err
	}
	return newList(append(dictionary(k, image, byName), text...), old, nil)
}

// newListing lists those contents of the new artifact that the image lacks. Its text is the new
// artifact's recipe.
func newListing(new Recipe, image *mkimage.Recipe) (*listing, error) {
	text, err := recipeText(named(new, image))
	if err != nil {
		return nil, err
	}
	return newList(text, new, byID(image))
}

func newList(text []byte, r Recipe,
	without map[chunkstore.ID]*chunkstore.Content) (*listing, error) {
	l := &listing{
		text:    text,
		textID:  chunkstore.Sum(text),
		paths:   map[string]*chunkstore.Content{},
		folders: map[string]bool{"": true, filesPath: true, oddPath: true},
		recipe: &mkimage.Recipe{
			BlockSize: mkimage.BlockSizeMin, Codec: "none", Chunking: chunkstore.DefaultParams,
			First: []string{recipePath}, // so that its patch is the first one
		},
	}
	l.paths[recipePath] = &chunkstore.Content{ID: l.textID, Size: int64(len(text))}
	seen := map[chunkstore.ID]bool{l.textID: true}
	for name, c := range r.Files() {
		if without[c.ID] == nil && !seen[c.ID] {
			seen[c.ID] = true
			l.add(name, &chunkstore.Content{ID: c.ID, Size: c.Size})
		}
	}
	l.finish()
	return l, l.recipe.Validate()
}

// add finds a path for a content.
func (l *listing) add(name string, c *chunkstore.Content) {
	p := filesPath + path.Clean("/"+name)
	if !l.free(p) {
		p = fmt.Sprintf("%s/%d", oddPath, len(l.paths))
	}
	l.paths[p] = c
	for p = parent(p); !l.folders[p]; p = parent(p) {
		l.folders[p] = true
	}
}

// free tells whether a tree can have a path, and the path is not in use.
func (l *listing) free(p string) bool {
	if l.paths[p] != nil || l.folders[p] || strings.IndexByte(p, 0) >= 0 ||
		strings.HasSuffix(p, "/") {
		return false
	}
	for p != "" {
		if len(p)-strings.LastIndexByte(p, '/') > mkimage.NameMax || l.paths[p] != nil {
			return false
		}
		p = parent(p)
	}
	return true
}

func parent(p string) string { return p[:max(0, strings.LastIndexByte(p, '/'))] }

// finish makes the recipe's entries.
func (l *listing) finish() {
	paths := slices.AppendSeq(slices.Collect(maps.Keys(l.paths)), maps.Keys(l.folders))
	slices.SortFunc(paths, tree.Compare)
	list := make([]mkimage.Entry, 0, len(paths))
	for _, p := range paths {
		e := mkimage.Entry{Entry: tree.Entry{Path: p, Attr: tree.Attr{Type: tree.Directory}}}
		if c := l.paths[p]; c != nil {
			c.Chunks = anyChunks(c, l.recipe.Chunking)
			e.Content, e.Size, e.Type = c, c.Size, tree.Regular
		}
		list = append(list, e)
	}
	l.recipe.Entries = mkimage.PackEntries(list...)
}
