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
	l, ok := letters[m.Mode&modeType]
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
		writeZeros(out, s.Zeros)
	}
	return out.Close()
}

func writeArchive(out *recipetext.Writer, a *Archive) {
	writeZeros(out, a.Zeros)
	out.Line(a.appendCPIO(out.Buf()))
	inode := uint32(0)
	for i := range a.Members {
		m := &a.Members[i]
		out.Line(appendMember(out.Buf(), m, inode))
		inode = m.Inode
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

// appendMember appends the line of a member. It writes the inode less that of the member before,
// inode, so that the lines of inodes that rise by one stay the same when a file comes or goes
// before them.
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
		b = recipetext.AppendContent(append(b, ' '), m.Content)
	}
	if m.isDevice() && letter != letterEnd {
		b = fmt.Appendf(b, " %d %d", m.RDevMajor, m.RDevMinor)
	}
	if letter != letterEnd {
		b = recipetext.AppendEscaped(append(b, ' '), m.Name)
	}
	if letter == letterLink {
		b = recipetext.AppendEscaped(append(b, ' '), m.Target)
	}
	return appendRare(b, m, letter)
}

// appendRare appends the fields that are zero in most archives.
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
