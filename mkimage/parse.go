package mkimage

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"deltaup/mkimage/internal/recipetext"
	"deltaup/mkimage/tree"
)

// ParseRecipe reads what [Recipe.WriteTo] writes of a valid recipe and nothing else: WriteTo writes
// what it accepts as the same bytes again. Errors name the line and wrap chunkstore.ErrCorrupt or
// chunkstore.ErrVersion, or are those of rd.
func ParseRecipe(rd io.Reader) (*Recipe, error) {
	p := newParser()
	return p.parse(rd, recipeFormat, p.image, recipetext.Chunking(&p.recipe.Chunking))
}

// parser holds what ParseRecipe has read so far.
type parser struct {
	recipe   *Recipe
	lines    []uint32 // line numbers of the entries
	contents recipetext.Contents
	last     Entry // the last one, which the list of entries does not have yet
	xattrs   bool  // xattr lines may follow
}

func newParser() *parser { return &parser{recipe: new(Recipe)} }

// parse reads a recipe of a format, which has a line for each of parameters.
func (p *parser) parse(rd io.Reader, f recipetext.Format,
	parameters ...recipetext.LineFunc) (*Recipe, error) {
	if err := recipetext.Read(rd, f, parameters, p.body); err != nil {
		return nil, err
	}
	p.flush()
	if err := p.recipe.validate(p.contents.Unlisted); err != nil {
		var at *entryError
		if errors.As(err, &at) && at.index < len(p.lines) {
			return nil, fmt.Errorf("%s: line %d: %w", f.Name, p.lines[at.index], err)
		}
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return p.recipe, nil
}

func (p *parser) image(f *recipetext.Fields, b []byte) ([]byte, error) {
	f.Word(wordImage)
	p.recipe.BlockSize = f.Named("block-size").Int()
	p.recipe.Codec = f.Named("codec").Text()
	p.recipe.ModTime = f.Named("mtime").Uint32()
	return p.recipe.appendImage(b), nil
}

// body reads one line between the parameters and the end.
func (p *parser) body(f *recipetext.Fields, b []byte) ([]byte, error) {
	word := f.Text()
	if word != wordOrder && len(p.recipe.First) > 0 {
		return nil, corrupt("entries after the order")
	}
	switch word {
	case wordOrder:
		path := takePath(f)
		p.recipe.First = append(p.recipe.First, path)
		return appendOrder(b, path), nil
	case wordXattr:
		return p.xattr(f, b)
	case recipetext.WordChunk:
		p.xattrs = false
		return p.contents.Chunk(f, b)
	case wordHardLink:
		return p.hardLink(f, b)
	}
	kind, ok := typeOf(word)
	if !ok {
		return nil, corrupt("unknown word %.20q", word)
	}
	return p.inode(kind, f, b)
}

// inode reads the line of the first name of an inode.
func (p *parser) inode(kind tree.Type, f *recipetext.Fields, b []byte) ([]byte, error) {
	e := Entry{Entry: tree.Entry{Attr: tree.Attr{
		Type:    kind,
		Mode:    uint16(f.Number(8, 12)),
		UID:     f.Uint32(),
		GID:     f.Uint32(),
		ModTime: f.Uint32(),
	}}}
	p.contents.End()
	switch kind {
	case tree.Regular:
		e.Content = p.contents.Take(f)
		if e.Content == nil {
			e.Content = emptyContent
		}
		e.Size = e.Content.Size
	case tree.BlockDevice, tree.CharDevice:
		e.Major, e.Minor = f.Uint32(), f.Uint32()
	}
	e.Path = takePath(f)
	if kind == tree.Symlink {
		e.Target = f.Escaped()
	}
	p.xattrs = true
	return appendEntry(b, &e, p.contents.Unlisted), p.add(e, f)
}

func (p *parser) hardLink(f *recipetext.Fields, b []byte) ([]byte, error) {
	path, first := takePath(f), takePath(f)
	p.flush()
	inode, ok := p.recipe.Entries.Find(first)
	if !ok || first == "" {
		return nil, notFirst(first)
	}
	e := hardLink(path, p.recipe.Entries.At(inode))
	if e.Link != first {
		return nil, notFirst(first)
	}
	p.contents.End()
	p.xattrs = false
	return appendEntry(b, &e, false), p.add(e, f)
}

func notFirst(path string) error {
	return corrupt("a hard link to %.200q, which is not the first name of an inode above", path)
}

// add takes an entry, which xattr lines may add to.
func (p *parser) add(e Entry, f *recipetext.Fields) error {
	p.flush()
	p.last = e
	p.lines = append(p.lines, uint32(f.Line))
	return nil
}

// flush appends the last entry to the list.
func (p *parser) flush() {
	if p.recipe.Entries.Len() < len(p.lines) {
		p.recipe.Entries.Append(p.last)
	}
}

func (p *parser) xattr(f *recipetext.Fields, b []byte) ([]byte, error) {
	if !p.xattrs {
		return nil, corrupt("an xattr that follows no entry")
	}
	x := tree.Xattr{Name: f.Escaped(), Value: []byte(f.Escaped())}
	p.last.Xattrs = append(p.last.Xattrs, x)
	return appendXattr(b, x), nil
}

// takePath reads a path as recipes have it, and gives it as trees have it, without the leading
// slash.
func takePath(f *recipetext.Fields) string {
	path, ok := strings.CutPrefix(f.Escaped(), "/")
	if !ok {
		f.Fail("a path without leading slash")
	}
	return path
}

// typeOf gives the type of an entry's letter in entryLetters.
func typeOf(word string) (tree.Type, bool) {
	for t := tree.Directory; t <= tree.Socket; t++ {
		if len(word) == 1 && entryLetters[t] == word[0] {
			return t, true
		}
	}
	return 0, false
}

// corrupt makes an error that wraps chunkstore.ErrCorrupt.
func corrupt(format string, args ...any) error { return recipetext.Corrupt(format, args...) }
