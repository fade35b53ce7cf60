package initrd

import (
	"strconv"
	"strings"

	"deltaup/chunkstore"
)

// member takes a line that is one header of an archive.
func (p *parser) member(letter byte, fields []string) error {
	a := p.lastArchive()
	if a == nil {
		return corrupt("a file outside an archive")
	}
	if p.members++; p.members > membersMax {
		return corrupt("more than %d files", membersMax)
	}
	p.current = nil
	m, err := p.fields(letter, fields)
	if err != nil {
		return err
	}
	if err := p.same(appendMember(p.again[:0], m, p.inode)); err != nil {
		return err
	}
	p.inode = m.Inode
	a.Members = append(a.Members, *m)
	return nil
}

// fields understands a member's line; that nothing is left over or written
// otherwise is for same to tell.
func (p *parser) fields(letter byte, fields []string) (*Member, error) {
	m := new(Member)
	if letter == letterEnd {
		m.Name = trailerName
	} else if kind, ok := typeOf(letter); ok {
		m.Mode = kind
	} else {
		return nil, corrupt("unknown word %q", letter)
	}
	f := fieldReader{rest: fields}
	m.Mode |= uint32(f.number(8, 16))
	m.UID, m.GID, m.ModTime = f.uint32(), f.uint32(), f.uint32()
	m.Links = f.uint32()
	m.Inode = p.inode + f.int32()
	if letter == letterFile {
		size := f.uint32()
		var err error
		if m.Content, err = p.content(int64(size), f.next()); err != nil {
			return nil, err
		}
	}
	if letter != letterEnd {
		if m.isDevice() {
			m.RDevMajor, m.RDevMinor = f.uint32(), f.uint32()
		}
		m.Name = f.escaped()
	}
	if letter == letterLink {
		m.Target = f.escaped()
	}
	f.rare(m)
	return m, f.err
}

func typeOf(letter byte) (uint32, bool) {
	for kind, l := range letters {
		if l == letter {
			return kind, true
		}
	}
	return 0, false
}

// content finds or begins the content that a file's line names.
func (p *parser) content(size int64, id string) (*chunkstore.Content, error) {
	if size == 0 {
		return nil, nil // "-" is checked by encoding the line again
	}
	parsed, err := chunkstore.ParseID(id)
	if err != nil || parsed.IsZero() {
		return nil, corrupt("%.80q is no content id", id)
	}
	if c := p.contents[parsed]; c != nil {
		return c, nil // the size is checked by encoding the line again
	}
	c := &chunkstore.Content{ID: parsed, Size: size}
	c.Chunks = []chunkstore.Chunk{{ID: parsed, Size: size}} // until chunk lines say otherwise
	p.contents[parsed] = c
	p.current = c
	return c, nil
}

func (p *parser) chunk(fields []string) error {
	if p.current == nil || len(fields) != 2 {
		return corrupt("a chunk that follows no file with a new content, or without size and id")
	}
	var n numbers
	c := chunkstore.Chunk{Size: int64(n.parse(fields[0], 63))}
	if n.err != nil {
		return n.err
	}
	if fields[1] != "-" {
		id, err := chunkstore.ParseID(fields[1])
		if err != nil || id.IsZero() {
			return corrupt("%.80q is no chunk id", fields[1])
		}
		c.ID = id
	}
	if c.ID == p.current.ID {
		return corrupt("a chunk line that repeats its content's id")
	}
	if impliedChunks(p.current) { // the first chunk line
		p.current.Chunks = nil
	}
	p.current.Chunks = append(p.current.Chunks, c)
	return p.same(appendChunk(p.again[:0], c))
}

// numbers parses several numbers and keeps the first error.
type numbers struct{ err error }

func (n *numbers) parse(s string, bits int) uint64 {
	v, err := strconv.ParseUint(s, 10, bits)
	n.keep(s, bits, err)
	return v
}

func (n *numbers) keep(s string, bits int, err error) {
	if err != nil && n.err == nil {
		n.err = corrupt("%.40q is no number of %d bits", s, bits)
	}
}

// fieldReader takes a line's fields one by one and keeps the first error.
type fieldReader struct {
	numbers
	rest []string
}

// next gives the next field, "" when there is none, which no field may be but a link's target.
func (f *fieldReader) next() string {
	if len(f.rest) == 0 {
		if f.err == nil {
			f.err = corrupt("too few fields")
		}
		return ""
	}
	s := f.rest[0]
	f.rest = f.rest[1:]
	return s
}

func (f *fieldReader) uint32() uint32 { return uint32(f.number(10, 32)) }

func (f *fieldReader) number(base, bits int) uint64 {
	s := f.next()
	v, err := strconv.ParseUint(s, base, bits)
	f.keep(s, bits, err)
	return v
}

// int32 gives a signed number as what it adds to a uint32.
func (f *fieldReader) int32() uint32 {
	s := f.next()
	v, err := strconv.ParseInt(s, 10, 32)
	f.keep(s, 32, err)
	return uint32(v)
}

func (f *fieldReader) escaped() string {
	s, err := unescape(f.next())
	if err != nil && f.err == nil {
		f.err = err
	}
	return s
}

// rare takes the fields with names that may end a line.
func (f *fieldReader) rare(m *Member) {
	for len(f.rest) > 0 {
		name, value, _ := strings.Cut(f.next(), "=")
		major, minor, _ := strings.Cut(value, ":")
		switch name {
		case "dev":
			m.DevMajor, m.DevMinor = uint32(f.parse(major, 32)), uint32(f.parse(minor, 32))
		case "rdev":
			m.RDevMajor, m.RDevMinor = uint32(f.parse(major, 32)), uint32(f.parse(minor, 32))
		case "check":
			v, err := strconv.ParseUint(value, 16, 32)
			f.keep(value, 32, err)
			m.Check = uint32(v)
		default:
			f.keep(name, 32, strconv.ErrSyntax)
		}
	}
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
