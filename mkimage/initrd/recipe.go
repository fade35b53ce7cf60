package initrd

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"deltaup/chunkstore"
)

// Words of the recipe file; doc/initrd.md is their description.
const (
	recipeMagic   = "deltaup-initrd"
	recipeVersion = "1"
	recipeLineMax = 32 << 10 // bytes of one line; the longest legal one, name and target all escaped, has 25 KB

	wordPlain  = "plain"
	wordFrame  = "frame"
	wordCPIO   = "cpio"
	wordZeros  = "zeros"
	wordEnd    = "end"
	lineChunk  = '+'
	letterFile = 'f'
	letterLink = 'l'
	letterEnd  = 't' // the trailer
)

// letters gives the first letter of a member's line by its type.
var letters = map[uint32]byte{
	modeDir:    'd',
	modeFile:   letterFile,
	modeLink:   letterLink,
	modeBlock:  'b',
	modeChar:   'c',
	modePipe:   'p',
	modeSocket: 's',
}

func letterOf(m *Member) (byte, bool) {
	if m.isTrailer() {
		return letterEnd, true
	}
	l, ok := letters[m.Mode&modeType]
	return l, ok
}

// WriteTo writes r as doc/initrd.md says. It does not validate.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) {
	out := &lineWriter{w: bufio.NewWriterSize(w, 64<<10), listed: make(map[chunkstore.ID]bool)}
	out.line(appendHeader(out.buf[:0]))
	out.line(r.appendCodec(out.buf[:0]))
	out.line(r.appendChunking(out.buf[:0]))
	for i := range r.Segments {
		s := &r.Segments[i]
		out.line(s.appendWord(out.buf[:0]))
		for j := range s.Archives {
			a := &s.Archives[j]
			out.zeros(a.Zeros)
			out.line(a.appendCPIO(out.buf[:0]))
			out.members(a.Members)
		}
		out.zeros(s.Zeros)
	}
	out.line(appendEnd(out.buf[:0], out.lines))
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return out.written, fmt.Errorf("write recipe: %w", out.err)
	}
	return out.written, nil
}

// lineWriter counts what it writes and keeps the first error.
type lineWriter struct {
	w       *bufio.Writer
	buf     []byte
	listed  map[chunkstore.ID]bool // contents whose chunks were written
	lines   int
	written int64
	err     error
}

func (l *lineWriter) line(b []byte) {
	l.buf = b
	if l.err != nil {
		return
	}
	n, err := l.w.Write(append(b, '\n'))
	l.lines++
	l.written += int64(n)
	l.err = err
}

func (l *lineWriter) zeros(n int64) {
	if n > 0 {
		l.line(appendZeros(l.buf[:0], n))
	}
}

func (l *lineWriter) members(list []Member) {
	inode := uint32(0)
	for i := range list {
		m := &list[i]
		l.line(appendMember(l.buf[:0], m, inode))
		inode = m.Inode
		if m.Content == nil || l.listed[m.Content.ID] {
			continue
		}
		l.listed[m.Content.ID] = true
		if impliedChunks(m.Content) {
			continue
		}
		for _, c := range m.Content.Chunks {
			l.line(appendChunk(l.buf[:0], c))
		}
	}
}

// impliedChunks reports whether c's chunks need no lines: there is one, the whole content.
func impliedChunks(c *chunkstore.Content) bool {
	return len(c.Chunks) == 1 && c.Chunks[0].ID == c.ID
}

// The functions below are the one place that says how a line looks: the parser
// encodes what it understood and demands the same bytes.

func appendHeader(b []byte) []byte { return append(b, recipeMagic+" "+recipeVersion...) }

func (r *Recipe) appendCodec(b []byte) []byte { return append(append(b, "codec "...), r.Codec...) }

func (r *Recipe) appendChunking(b []byte) []byte {
	c := r.Chunking
	return fmt.Appendf(b, "chunks min=%d average=%d max=%d", c.Min, c.Average, c.Max)
}

func (s *Segment) appendWord(b []byte) []byte {
	if s.Packed {
		return append(b, wordFrame...)
	}
	return append(b, wordPlain...)
}

func (a *Archive) appendCPIO(b []byte) []byte {
	b = append(b, wordCPIO+" "...)
	if a.CRC {
		b = append(b, "crc "...)
	} else {
		b = append(b, "newc "...)
	}
	if a.Lower {
		return append(b, "lower"...)
	}
	return append(b, "upper"...)
}

func appendZeros(b []byte, n int64) []byte {
	return strconv.AppendInt(append(b, wordZeros+" "...), n, 10)
}

// appendMember writes a member whose predecessor in the archive has the given inode: numbers
// that rise by one stay as they are when a file comes or goes before them.
func appendMember(b []byte, m *Member, inode uint32) []byte {
	letter, _ := letterOf(m)
	b = append(b, letter)
	if letter == letterEnd {
		b = fmt.Appendf(b, " %o", m.Mode)
	} else {
		b = fmt.Appendf(b, " %04o", m.Mode&^modeType)
	}
	b = fmt.Appendf(b, " %d %d %d %d %d", m.UID, m.GID, m.ModTime, m.Links, int32(m.Inode-inode))
	if letter == letterFile {
		if m.Content == nil {
			b = append(b, " 0 -"...)
		} else {
			b = fmt.Appendf(b, " %d %s", m.Content.Size, m.Content.ID)
		}
	}
	if m.isDevice() && letter != letterEnd {
		b = fmt.Appendf(b, " %d %d", m.RDevMajor, m.RDevMinor)
	}
	if letter != letterEnd {
		b = appendEscaped(append(b, ' '), m.Name)
	}
	if letter == letterLink {
		b = appendEscaped(append(b, ' '), m.Target)
	}
	return appendRare(b, m, letter)
}

// appendRare writes the fields that are zero in most archives.
func appendRare(b []byte, m *Member, letter byte) []byte {
	if m.DevMajor|m.DevMinor != 0 {
		b = fmt.Appendf(b, " dev=%d:%d", m.DevMajor, m.DevMinor)
	}
	if m.RDevMajor|m.RDevMinor != 0 && (!m.isDevice() || letter == letterEnd) {
		b = fmt.Appendf(b, " rdev=%d:%d", m.RDevMajor, m.RDevMinor)
	}
	if m.Check != 0 {
		b = fmt.Appendf(b, " check=%08x", m.Check)
	}
	return b
}

func appendChunk(b []byte, c chunkstore.Chunk) []byte {
	b = append(b, lineChunk, ' ')
	b = strconv.AppendInt(b, c.Size, 10)
	b = append(b, ' ')
	if c.IsHole() {
		return append(b, '-')
	}
	return append(b, c.ID.String()...)
}

func appendEnd(b []byte, lines int) []byte {
	return strconv.AppendInt(append(b, wordEnd+" "...), int64(lines), 10)
}

// appendEscaped writes every byte but printable ASCII, and '%' too, as %XX.
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '%' {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
