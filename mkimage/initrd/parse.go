package initrd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"deltaup/chunkstore"
)

// ParseRecipe reads what [Recipe.WriteTo] wrote and nothing else: what it accepts
// encodes to the same bytes again and passes [Recipe.Validate]. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion, or are those of rd.
func ParseRecipe(rd io.Reader) (*Recipe, error) {
	p := &parser{
		in:       bufio.NewReaderSize(rd, 64<<10),
		recipe:   new(Recipe),
		contents: make(map[chunkstore.ID]*chunkstore.Content),
	}
	if err := p.run(); err != nil {
		return nil, fmt.Errorf("initrd recipe: line %d: %w", p.number, err)
	}
	if err := p.recipe.Validate(); err != nil {
		return nil, fmt.Errorf("initrd recipe: %w", err)
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
	members  int
	inode    uint32 // of the last member
	zeros    int64  // of the last line, not yet in the recipe
	contents map[chunkstore.ID]*chunkstore.Content
	current  *chunkstore.Content // takes the chunk lines that follow
}

func (p *parser) run() error {
	for _, step := range []func() error{p.header, p.codec, p.chunking} {
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
		fields := strings.Split(string(p.text), " ")
		if fields[0] == wordEnd {
			return p.end()
		}
		if err := p.body(fields[0], fields[1:]); err != nil {
			return err
		}
	}
}

// next reads one line into p.text.
func (p *parser) next() error {
	p.number++
	p.text = p.text[:0]
	line, err := p.in.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return corrupt("the file ends before its end line")
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > recipeLineMax:
		return corrupt("longer than %d bytes", recipeLineMax)
	case err != nil:
		return err
	}
	p.text = append(p.text, line[:len(line)-1]...)
	return nil
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
		return corrupt("not a recipe of an initrd")
	}
	if version != recipeVersion {
		return fmt.Errorf("initrd recipe version %s, this program reads version %s: %w",
			version, recipeVersion, chunkstore.ErrVersion)
	}
	return nil
}

func (p *parser) codec() error {
	_, p.recipe.Codec, _ = strings.Cut(string(p.text), " ")
	return p.same(p.recipe.appendCodec(p.again[:0]))
}

func (p *parser) chunking() error {
	c := &p.recipe.Chunking
	if _, err := fmt.Sscanf(string(p.text), "chunks min=%d average=%d max=%d", &c.Min, &c.Average, &c.Max); err != nil {
		return corrupt("expected the sizes of chunks")
	}
	return p.same(p.recipe.appendChunking(p.again[:0]))
}

// body takes one line between the parameters and the end.
func (p *parser) body(word string, fields []string) error {
	switch word {
	case wordPlain, wordFrame:
		return p.segment(word == wordFrame)
	case wordCPIO:
		return p.cpio(fields)
	case wordZeros:
		return p.skip(fields)
	}
	if len(word) != 1 {
		return corrupt("unknown word %.20q", word)
	}
	if word[0] == lineChunk {
		return p.chunk(fields)
	}
	return p.member(word[0], fields)
}

func (p *parser) segment(packed bool) error {
	if len(p.recipe.Segments) == segmentsMax {
		return corrupt("more than %d segments", segmentsMax)
	}
	p.endSegment()
	s := Segment{Packed: packed}
	p.recipe.Segments = append(p.recipe.Segments, s)
	return p.same(s.appendWord(p.again[:0]))
}

// endSegment gives zeros that no archive follows to their segment.
func (p *parser) endSegment() {
	if s := p.lastSegment(); s != nil {
		s.Zeros = p.zeros
	}
	p.zeros, p.current = 0, nil
}

func (p *parser) lastSegment() *Segment {
	if n := len(p.recipe.Segments); n > 0 {
		return &p.recipe.Segments[n-1]
	}
	return nil
}

// lastArchive gives the archive that members go to, nil when none can follow here.
func (p *parser) lastArchive() *Archive {
	s := p.lastSegment()
	if s == nil || len(s.Archives) == 0 || p.zeros > 0 {
		return nil
	}
	return &s.Archives[len(s.Archives)-1]
}

func (p *parser) cpio(fields []string) error {
	s := p.lastSegment()
	if s == nil || len(fields) != 2 {
		return corrupt("an archive outside a segment, or without magic and case")
	}
	if len(s.Archives) == archivesMax {
		return corrupt("more than %d archives", archivesMax)
	}
	a := Archive{Zeros: p.zeros, CRC: fields[0] == "crc", Lower: fields[1] == "lower"}
	p.zeros, p.inode, p.current = 0, 0, nil
	s.Archives = append(s.Archives, a)
	return p.same(a.appendCPIO(p.again[:0]))
}

func (p *parser) skip(fields []string) error {
	if p.lastSegment() == nil || p.zeros > 0 || len(fields) != 1 {
		return corrupt("zeros where none can be")
	}
	var n numbers
	p.zeros = int64(n.parse(fields[0], 63))
	if n.err != nil {
		return n.err
	}
	if p.zeros == 0 {
		return corrupt("no zeros")
	}
	p.current = nil
	return p.same(appendZeros(p.again[:0], p.zeros))
}

func (p *parser) end() error {
	p.endSegment()
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
