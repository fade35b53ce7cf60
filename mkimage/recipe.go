package mkimage

import (
	"fmt"
	"io"
	"strconv"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
	"deltaup/mkimage/tree"
)

// recipeFormat is the format in doc/recipe.md. The longest legal line, an xattr of 64 KiB all
// escaped, has 200 KB.
var recipeFormat = recipetext.Format{
	Name:    "recipe",
	Magic:   "deltaup-recipe",
	Version: "1",
	LineMax: 1 << 20,
}

// Words that begin a line, besides the letters of entries.
const (
	wordImage    = "image"
	wordHardLink = "h"
	wordXattr    = "x"
	wordOrder    = "order"
)

// entryLetters gives the first letter of an entry's line, by the entry's type.
var entryLetters = [...]byte{
	tree.Directory:   'd',
	tree.Regular:     'f',
	tree.Symlink:     'l',
	tree.BlockDevice: 'b',
	tree.CharDevice:  'c',
	tree.FIFO:        'p',
	tree.Socket:      's',
}

// WriteTo writes r as doc/recipe.md says. It does not validate r.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) {
	out := recipetext.NewWriter(w, recipeFormat)
	r.write(out, nil)
	return out.Close()
}

// write writes the lines between the first and the last one. Whole is nil, or the line of a kept
// recipe that tells it.
func (r *Recipe) write(out *recipetext.Writer, whole []byte) {
	out.Line(r.appendImage(out.Buf()))
	out.Line(recipetext.AppendChunking(out.Buf(), r.Chunking))
	if whole != nil {
		out.Line(whole)
	}
	for _, e := range r.Entries.All() {
		out.Line(appendEntry(out.Buf(), &e, whole != nil))
		if e.Link != "" {
			continue
		}
		for _, x := range e.Xattrs {
			out.Line(appendXattr(out.Buf(), x))
		}
		out.Chunks(e.Content)
	}
	for _, path := range r.First {
		out.Line(appendOrder(out.Buf(), path))
	}
}

// ID is the hash of the text that WriteTo writes.
func (r *Recipe) ID() (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	_, err := r.WriteTo(h)
	return h.ID(), err
}

// Only the functions below say how a line looks: the parser encodes what it has read with them and
// demands the same bytes.

func (r *Recipe) appendImage(b []byte) []byte {
	return fmt.Appendf(b, "%s block-size=%d codec=%s mtime=%d", wordImage, r.BlockSize, r.Codec,
		r.ModTime)
}

// appendEntry appends an entry. Kept recipes mark contents whose chunks are not known.
func appendEntry(b []byte, e *Entry, kept bool) []byte {
	if e.Link != "" {
		b = appendPath(append(b, wordHardLink+" "...), e.Path)
		return appendPath(append(b, ' '), e.Link)
	}
	b = append(b, entryLetters[e.Type], ' ')
	b = fmt.Appendf(b, "%04o", e.Mode)
	for _, n := range [...]uint32{e.UID, e.GID, e.ModTime} {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	b = append(b, ' ')
	switch e.Type {
	case tree.Regular:
		if kept && unlisted(e.Content) {
			b = recipetext.AppendUnlisted(b, e.Content)
		} else {
			b = recipetext.AppendContent(b, e.Content)
		}
		b = append(b, ' ')
	case tree.BlockDevice, tree.CharDevice:
		b = fmt.Appendf(b, "%d %d ", e.Major, e.Minor)
	}
	b = appendPath(b, e.Path)
	if e.Type == tree.Symlink {
		b = recipetext.AppendEscaped(append(b, ' '), e.Target)
	}
	return b
}

func appendXattr(b []byte, x tree.Xattr) []byte {
	b = recipetext.AppendEscaped(append(b, wordXattr+" "...), x.Name)
	return recipetext.AppendEscaped(append(b, ' '), x.Value)
}

func appendOrder(b []byte, path string) []byte {
	return appendPath(append(b, wordOrder+" "...), path)
}

// appendPath appends a path of a tree with the leading slash that it has in recipes.
func appendPath(b []byte, path string) []byte {
	return recipetext.AppendEscaped(append(b, '/'), path)
}
