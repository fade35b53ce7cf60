package recipetext

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"deltaup/chunkstore"
)

// Writer writes a recipe line by line. It counts what it writes and keeps the first error for
// [Writer.Close].
type Writer struct {
	out     *bufio.Writer
	name    string
	buf     []byte
	listed  chunkstore.ContentTable // contents whose chunks have been written
	lines   int
	written int64
	err     error
}

// NewWriter writes the first line of a recipe of a format.
func NewWriter(w io.Writer, f Format) *Writer {
	out := &Writer{
		out:  bufio.NewWriterSize(w, 64<<10),
		name: f.Name,
	}
	out.Line(append(append(append(out.Buf(), f.Magic...), ' '), f.Version...))
	return out
}

// Buf gives an empty buffer for the next line. Each call gives the same buffer.
func (w *Writer) Buf() []byte { return w.buf[:0] }

// Line writes a line, which b holds without its end.
func (w *Writer) Line(b []byte) {
	w.buf = append(b, '\n')
	if w.err != nil {
		return
	}
	n, err := w.out.Write(w.buf)
	w.lines++
	w.written += int64(n)
	w.err = err
}

// Chunks writes the chunks of c, which the line before names, unless it has written them before or
// they need no lines. c may be nil.
func (w *Writer) Chunks(c *chunkstore.Content) {
	if c == nil || !w.listed.Add(c) || impliedChunks(c) {
		return
	}
	for _, k := range c.Chunks {
		w.Line(appendChunk(w.Buf(), k))
	}
}

// Close writes the last line. It gives the number of bytes of the whole recipe, and the first
// error.
func (w *Writer) Close() (int64, error) {
	w.Line(appendEnd(w.Buf(), w.lines))
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return w.written, fmt.Errorf("write %s: %w", w.name, w.err)
	}
	return w.written, nil
}

// impliedChunks reports whether c's chunks need no lines: c has none, or one that is the whole
// content.
func impliedChunks(c *chunkstore.Content) bool {
	return len(c.Chunks) == 0 || len(c.Chunks) == 1 && c.Chunks[0].ID == c.ID
}

func appendChunk(b []byte, c chunkstore.Chunk) []byte {
	b = strconv.AppendInt(append(b, WordChunk+" "...), c.Size, 10)
	b = append(b, ' ')
	if c.IsHole() {
		return append(b, noID...)
	}
	return append(b, c.ID.String()...)
}

func appendEnd(b []byte, lines int) []byte {
	return strconv.AppendInt(append(b, wordEnd+" "...), int64(lines), 10)
}

// AppendChunking appends the line that says how contents were cut; [Chunking] reads it.
func AppendChunking(b []byte, p chunkstore.Params) []byte {
	return fmt.Appendf(b, "%s min=%d average=%d max=%d", wordChunks, p.Min, p.Average, p.Max)
}

// AppendContent appends the two fields that name a file's content, which is nil or of size 0 when
// it is empty; [Contents.Take] reads them.
func AppendContent(b []byte, c *chunkstore.Content) []byte {
	if c == nil || c.Size == 0 {
		return append(b, "0 "+noID...)
	}
	b = append(strconv.AppendInt(b, c.Size, 10), ' ')
	return append(b, c.ID.String()...)
}

// AppendUnlisted is AppendContent for a content that is not empty and whose chunks are not known,
// nor its id if that is a stand-in.
func AppendUnlisted(b []byte, c *chunkstore.Content) []byte {
	b = append(strconv.AppendInt(b, c.Size, 10), " "+noChunks...)
	text := c.ID.String()
	if c.ID.IsStandIn() {
		text = text[standInDigits:]
	}
	return append(b, text...)
}

// AppendEscaped appends a name. It writes '%' and every byte that is no printable ASCII as %XX.
// [Fields.Escaped] reads it.
func AppendEscaped[T string | []byte](b []byte, name T) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x21 || c > 0x7e || c == '%' {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
