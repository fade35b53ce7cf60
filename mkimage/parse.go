package mkimage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// ParseRecipe reads what [Recipe.WriteTo] wrote and nothing else: what it accepts
// encodes to the same bytes again and passes [Recipe.Validate]. Errors name the line and wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion, or are those of rd.
func ParseRecipe(rd io.Reader) (*Recipe, error) {
	p := &parser{
		in:       bufio.NewReaderSize(rd, 64<<10),
		recipe:   new(Recipe),
		contents: make(map[chunkstore.ID]*chunkstore.Content),
		paths:    make(map[string]int),
	}
	if err := p.run(); err != nil {
		return nil, fmt.Errorf("recipe: line %d: %w", p.number, err)
	}
	if err := p.recipe.Validate(); err != nil {
		var at *entryError
		if errors.As(err, &at) && at.index < len(p.lines) {
			return nil, fmt.Errorf("recipe: line %d: %w", p.lines[at.index], err)
		}
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return p.recipe, nil
}

// parser holds what has been read so far.
type parser struct {
	in     *bufio.Reader
	number int    // of the current line, from 1
	text   []byte // of the current line; overwritten by the next
	again  []byte // scratch for encoding it again

	recipe   *Recipe
	lines    []int // of each entry
	paths    map[string]int
	contents map[chunkstore.ID]*chunkstore.Content
	current  *chunkstore.Content // takes the chunk lines that follow
	attr     bool                // xattr lines may follow
}

func (p *parser) run() error {
	for _, step := range []func() error{p.header, p.image, p.chunking} {
		if err := p.next(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	for {
		if err := p.next(); err != nil {
			return err
		}
		if bytes.HasPrefix(p.text, []byte(wordEnd+" ")) {
			return p.end()
		}
		if err := p.body(); err != nil {
			return err
		}
	}
}

// next reads one line into p.text.
func (p *parser) next() error {
	p.number++
	p.text = p.text[:0]
	for {
		part, err := p.in.ReadSlice('\n')
		if len(p.text)+len(part) > recipeLineMax {
			return corrupt("longer than %d bytes", recipeLineMax)
		}
		p.text = append(p.text, part...)
		switch {
		case err == nil:
			p.text = p.text[:len(p.text)-1]
			return nil
		case errors.Is(err, io.EOF):
			return corrupt("the file ends before its end line")
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// same demands that what was understood encodes to the line that was read.
func (p *parser) same(encoded []byte) error {
	p.again = encoded
	if !bytes.Equal(encoded, p.text) {
		return corrupt("not in the one permitted spelling")
	}
	return nil
}

func (p *parser) header() error {
	magic, version, _ := strings.Cut(string(p.text), " ")
	if _, err := strconv.ParseUint(version, 10, 32); magic != recipeMagic || err != nil {
		return corrupt("not a recipe")
	}
	if version != recipeVersion {
		return fmt.Errorf("recipe version %s, this program reads version %s: %w",
			version, recipeVersion, chunkstore.ErrVersion)
	}
	return nil
}

func (p *parser) image() error {
	fields, err := p.named("image", "block-size", "codec", "mtime")
	if err != nil {
		return err
	}
	var n numbers
	p.recipe.BlockSize = int(n.parse(fields[0], 31))
	p.recipe.Codec = fields[1]
	p.recipe.ModTime = uint32(n.parse(fields[2], 32))
	if n.err != nil {
		return n.err
	}
	return p.same(p.recipe.appendImage(p.again[:0]))
}

func (p *parser) chunking() error {
	fields, err := p.named("chunks", "min", "average", "max")
	if err != nil {
		return err
	}
	var n numbers
	p.recipe.Chunking = chunkstore.Params{
		Min:     int(n.parse(fields[0], 31)),
		Average: int(n.parse(fields[1], 31)),
		Max:     int(n.parse(fields[2], 31)),
	}
	if n.err != nil {
		return n.err
	}
	return p.same(p.recipe.appendChunking(p.again[:0]))
}

// named splits a line of the form "word name=value name=value" into its values.
func (p *parser) named(word string, names ...string) ([]string, error) {
	fields := strings.Split(string(p.text), " ")
	if fields[0] != word || len(fields) != 1+len(names) {
		return nil, corrupt("expected a line %q with %s", word, strings.Join(names, ", "))
	}
	fields = fields[1:]
	for i, name := range names {
		value, ok := strings.CutPrefix(fields[i], name+"=")
		if !ok {
			return nil, corrupt("expected %s=", name)
		}
		fields[i] = value
	}
	return fields, nil
}

// body takes one line between the parameters and the end.
func (p *parser) body() error {
	fields := strings.Split(string(p.text), " ")
	word := fields[0]
	fields = fields[1:]
	if word == wordOrder {
		return p.order(fields)
	}
	if len(p.recipe.First) > 0 {
		return corrupt("entries after the order")
	}
	if len(word) != 1 {
		return corrupt("unknown word %.20q", word)
	}
	switch word[0] {
	case lineXattr:
		return p.xattr(fields)
	case lineChunk:
		return p.chunk(fields)
	case lineHardLink:
		return p.hardLink(fields)
	}
	return p.entry(word[0], fields)
}

func (p *parser) order(fields []string) error {
	if len(fields) != 1 {
		return corrupt("expected one path")
	}
	path, err := parsePath(fields[0])
	if err != nil {
		return err
	}
	p.recipe.First = append(p.recipe.First, path)
	return p.same(appendOrder(p.again[:0], path))
}

func (p *parser) end() error {
	if err := p.same(appendEnd(p.again[:0], p.number-1)); err != nil {
		return corrupt("the end line does not count %d lines before it", p.number-1)
	}
	if _, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return corrupt("bytes after the end line")
	}
	return nil
}

// corrupt is an error about a recipe that wraps chunkstore.ErrCorrupt.
func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, chunkstore.ErrCorrupt)...)
}

// numbers parses several numbers and keeps the first error.
type numbers struct{ err error }

func (n *numbers) parse(s string, bits int) uint64 {
	v, err := strconv.ParseUint(s, 10, bits)
	if err != nil && n.err == nil {
		n.err = corrupt("%.40q is no number below 2^%d", s, bits)
	}
	return v
}

// parsePath takes a path as recipes write it and gives it as trees do, without the leading slash.
func parsePath(s string) (string, error) {
	p, ok := strings.CutPrefix(s, "/")
	if !ok {
		return "", corrupt("a path without leading slash")
	}
	return unescape(p)
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", corrupt("a broken escape")
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", corrupt("a broken escape")
		}
		b = append(b, byte(v))
		i += 2
	}
	return string(b), nil
}

// typeOf is the way back from entryLetters.
func typeOf(letter byte) (squashfs.Type, bool) {
	for t := squashfs.Directory; t <= squashfs.Socket; t++ {
		if entryLetters[t] == letter {
			return t, true
		}
	}
	return 0, false
}
