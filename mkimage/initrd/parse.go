package initrd

import (
	"fmt"
	"io"

	"deltaup/mkimage/internal/recipetext"
)

// ParseRecipe reads what [Recipe.WriteTo] writes of a valid recipe and nothing else: WriteTo writes
// what it accepts as the same bytes again. Errors wrap chunkstore.ErrCorrupt or
// chunkstore.ErrVersion, or are those of rd.
func ParseRecipe(rd io.Reader) (*Recipe, error) {
	p := &parser{recipe: new(Recipe)}
	parameters := []recipetext.LineFunc{p.codec, recipetext.Chunking(&p.recipe.Chunking)}
	if err := recipetext.Read(rd, recipeFormat, parameters, p.body); err != nil {
		return nil, err
	}
	p.endSegment()
	if err := p.recipe.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", recipeFormat.Name, err)
	}
	return p.recipe, nil
}

// parser holds what ParseRecipe has read so far.
type parser struct {
	recipe   *Recipe
	members  int
	inode    uint32 // the last member's
	zeros    int64  // zero bytes from the last line, not yet in the recipe
	contents recipetext.Contents
}

func (p *parser) codec(f *recipetext.Fields, b []byte) ([]byte, error) {
	f.Word(wordCodec)
	p.recipe.Codec = f.Text()
	return p.recipe.appendCodec(b), nil
}

// body reads one line between the parameters and the end.
func (p *parser) body(f *recipetext.Fields, b []byte) ([]byte, error) {
	word := f.Text()
	if word == recipetext.WordChunk {
		return p.contents.Chunk(f, b)
	}
	p.contents.End()
	switch word {
	case wordPlain, wordFrame:
		return p.segment(word == wordFrame, b)
	case wordCPIO:
		return p.cpio(f, b)
	case wordZeros:
		return p.skip(f, b)
	}
	if len(word) != 1 {
		return nil, corrupt("unknown word %.20q", word)
	}
	return p.member(word[0], f, b)
}

func (p *parser) segment(packed bool, b []byte) ([]byte, error) {
	if len(p.recipe.Segments) == segmentsMax {
		return nil, corrupt("more than %d segments", segmentsMax)
	}
	p.endSegment()
	s := Segment{packed: packed}
	p.recipe.Segments = append(p.recipe.Segments, s)
	return s.appendWord(b), nil
}

// endSegment gives zeros without an archive after them to their segment.
func (p *parser) endSegment() {
	if s := p.lastSegment(); s != nil {
		s.zeros = p.zeros
	}
	p.zeros = 0
}

func (p *parser) lastSegment() *Segment {
	if n := len(p.recipe.Segments); n > 0 {
		return &p.recipe.Segments[n-1]
	}
	return nil
}

// lastArchive gives the archive for the next member, or nil when no member can follow.
func (p *parser) lastArchive() *Archive {
	s := p.lastSegment()
	if s == nil || len(s.Archives) == 0 || p.zeros > 0 {
		return nil
	}
	return &s.Archives[len(s.Archives)-1]
}

func (p *parser) cpio(f *recipetext.Fields, b []byte) ([]byte, error) {
	s := p.lastSegment()
	if s == nil {
		return nil, corrupt("an archive outside a segment")
	}
	if len(s.Archives) == archivesMax {
		return nil, corrupt("more than %d archives", archivesMax)
	}
	a := Archive{zeros: p.zeros, crc: f.Text() == "crc", lower: f.Text() == "lower"}
	p.zeros, p.inode = 0, 0
	s.Archives = append(s.Archives, a)
	return a.appendCPIO(b), nil
}

func (p *parser) skip(f *recipetext.Fields, b []byte) ([]byte, error) {
	if p.lastSegment() == nil || p.zeros > 0 {
		return nil, corrupt("zeros where none can be")
	}
	p.zeros = int64(f.Number(10, 63))
	if p.zeros == 0 {
		f.Fail("no zeros")
	}
	return appendZeros(b, p.zeros), nil
}

// member reads the line of one member.
func (p *parser) member(letter byte, f *recipetext.Fields, b []byte) ([]byte, error) {
	a := p.lastArchive()
	if a == nil {
		return nil, corrupt("a file outside an archive")
	}
	if p.members++; p.members > membersMax {
		return nil, corrupt("more than %d files", membersMax)
	}
	var m Member
	if letter == letterEnd {
		m.Name = trailerName
	} else if kind, ok := typeOf(letter); ok {
		m.mode = kind
	} else {
		return nil, corrupt("unknown word %q", letter)
	}
	p.fields(&m, letter, f)
	b = appendMember(b, &m, p.inode)
	p.inode = m.inode
	a.Members = append(a.Members, m)
	return b, nil
}

// fields reads the fields after a member's letter.
func (p *parser) fields(m *Member, letter byte, f *recipetext.Fields) {
	m.mode |= uint32(f.Number(8, 16))
	m.uid, m.gid, m.modTime = f.Uint32(), f.Uint32(), f.Uint32()
	m.links = f.Uint32()
	m.inode = p.inode + uint32(f.Int32())
	if letter == letterFile {
		m.Content = p.contents.Take(f)
	}
	if letter != letterEnd {
		if m.isDevice() {
			m.rDevMajor, m.rDevMinor = f.Uint32(), f.Uint32()
		}
		m.Name = f.Escaped()
	}
	if letter == letterLink {
		m.target = f.Escaped()
	}
	if f.Has("dev") {
		m.devMajor, m.devMinor = f.Pair()
	}
	if f.Has("rdev") {
		m.rDevMajor, m.rDevMinor = f.Pair()
	}
	if f.Has("check") {
		m.check = uint32(f.Number(16, 32))
	}
}

func typeOf(letter byte) (uint32, bool) {
	for kind, l := range letters {
		if l == letter {
			return kind, true
		}
	}
	return 0, false
}
