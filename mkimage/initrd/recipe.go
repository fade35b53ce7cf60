package initrd

import (
	"fmt"
	"io"
	"strconv"

	"deltaup/mkimage/internal/recipetext"
)

// recipeFormat is the format in doc/initrd.md. The longest legal line, with name and target all
// escaped, has 25 KB.
var recipeFormat = recipetext.Format{
	Name:    "initrd recipe",
	Magic:   "deltaup-initrd",
	Version: "1",
	LineMax: 32 << 10,
}

// Words and letters that begin a line.
const (
	wordCodec  = "codec"
	wordPlain  = "plain"
	wordFrame  = "frame"
	wordCPIO   = "cpio"
	wordZeros  = "zeros"
	letterFile = 'f'
	letterLink = 'l'
	letterEnd  = 't' // the trailer
)

// letters gives the first letter of a member's line, by the type in its mode.
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
	l, ok := letters[m.mode&modeType]
	return l, ok
}

// WriteTo writes r as doc/initrd.md says. It does not validate r.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) {
	out := recipetext.NewWriter(w, recipeFormat)
	out.Line(r.appendCodec(out.Buf()))
	out.Line(recipetext.AppendChunking(out.Buf(), r.Chunking))
	for i := range r.Segments {
		s := &r.Segments[i]
		out.Line(s.appendWord(out.Buf()))
		for j := range s.Archives {
			writeArchive(out, &s.Archives[j])
		}
		writeZeros(out, s.zeros)
	}
	return out.Close()
}

func writeArchive(out *recipetext.Writer, a *Archive) {
	writeZeros(out, a.zeros)
	out.Line(a.appendCPIO(out.Buf()))
	inode := uint32(0)
	for i := range a.Members {
		m := &a.Members[i]
		out.Line(appendMember(out.Buf(), m, inode))
		inode = m.inode
		out.Chunks(m.Content)
	}
}

func writeZeros(out *recipetext.Writer, n int64) {
	if n > 0 {
		out.Line(appendZeros(out.Buf(), n))
	}
}

// Only the functions below say how a line looks: the parser encodes what it has read with them and
// demands the same bytes.

func (r *Recipe) appendCodec(b []byte) []byte {
	return append(append(b, wordCodec+" "...), r.Codec...)
}

func (s *Segment) appendWord(b []byte) []byte {
	if s.packed {
		return append(b, wordFrame...)
	}
	return append(b, wordPlain...)
}

func (a *Archive) appendCPIO(b []byte) []byte {
	b = append(b, wordCPIO+" "...)
	if a.crc {
		b = append(b, "crc "...)
	} else {
		b = append(b, "newc "...)
	}
	if a.lower {
		return append(b, "lower"...)
	}
	return append(b, "upper"...)
}

func appendZeros(b []byte, n int64) []byte {
	return strconv.AppendInt(append(b, wordZeros+" "...), n, 10)
}

// appendMember appends the line of a member. It writes the inode less that of the member before,
// inode, so that the lines of inodes that rise by one stay the same when a file comes or goes
// before them.
func appendMember(b []byte, m *Member, inode uint32) []byte {
	letter, _ := letterOf(m)
	b = append(b, letter)
	if letter == letterEnd {
		b = fmt.Appendf(b, " %o", m.mode)
	} else {
		b = fmt.Appendf(b, " %04o", m.mode&^modeType)
	}
	b = fmt.Appendf(b, " %d %d %d %d %d", m.uid, m.gid, m.modTime, m.links, int32(m.inode-inode))
	if letter == letterFile {
		b = recipetext.AppendContent(append(b, ' '), m.Content)
	}
	if m.isDevice() && letter != letterEnd {
		b = fmt.Appendf(b, " %d %d", m.rDevMajor, m.rDevMinor)
	}
	if letter != letterEnd {
		b = recipetext.AppendEscaped(append(b, ' '), m.Name)
	}
	if letter == letterLink {
		b = recipetext.AppendEscaped(append(b, ' '), m.target)
	}
	return appendRare(b, m, letter)
}

// appendRare appends the fields that are zero in most archives.
func appendRare(b []byte, m *Member, letter byte) []byte {
	if m.devMajor|m.devMinor != 0 {
		b = fmt.Appendf(b, " dev=%d:%d", m.devMajor, m.devMinor)
	}
	if m.rDevMajor|m.rDevMinor != 0 && (!m.isDevice() || letter == letterEnd) {
		b = fmt.Appendf(b, " rdev=%d:%d", m.rDevMajor, m.rDevMinor)
	}
	if m.check != 0 {
		b = fmt.Appendf(b, " check=%08x", m.check)
	}
	return b
}
