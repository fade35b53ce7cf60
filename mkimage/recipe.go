package mkimage

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Words of the recipe file; doc/recipe.md is their description.
const (
	recipeMagic   = "deltaup-recipe"
	recipeVersion = "1"
	recipeLineMax = 1 << 20 // bytes of one line; the longest legal one, an xattr of 64 KiB all escaped, has 200 KB

	lineHardLink = 'h'
	lineXattr    = 'x'
	lineChunk    = '+'
	wordOrder    = "order"
	wordEnd      = "end"
)

// entryLetters gives the first letter of an entry's line.
var entryLetters = [...]byte{
	squashfs.Directory:   'd',
	squashfs.Regular:     'f',
	squashfs.Symlink:     'l',
	squashfs.BlockDevice: 'b',
	squashfs.CharDevice:  'c',
	squashfs.FIFO:        'p',
	squashfs.Socket:      's',
}

// WriteTo writes r as doc/recipe.md says. It does not validate.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) {
	out := &lineWriter{w: bufio.NewWriterSize(w, 64<<10)}
	out.line(appendHeader(nil))
	out.line(r.appendImage(nil))
	out.line(r.appendChunking(nil))

	listed := make(map[chunkstore.ID]bool)
	var buf []byte
	for i := range r.Entries {
		e := &r.Entries[i]
		buf = appendEntry(buf[:0], e)
		out.line(buf)
		if e.Link != "" {
			continue
		}
		for _, x := range e.Xattrs {
			buf = appendXattr(buf[:0], x)
			out.line(buf)
		}
		if e.Content == nil || listed[e.Content.ID] {
			continue
		}
		listed[e.Content.ID] = true
		if impliedChunks(e.Content) {
			continue
		}
		for _, c := range e.Content.Chunks {
			buf = appendChunk(buf[:0], c)
			out.line(buf)
		}
	}
	for _, p := range r.First {
		buf = appendOrder(buf[:0], p)
		out.line(buf)
	}
	out.line(appendEnd(buf[:0], out.lines))
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return out.written, fmt.Errorf("write recipe: %w", out.err)
	}
	return out.written, nil
}

// impliedChunks reports whether c's chunks need no lines: there is none, or one that is the whole content.
func impliedChunks(c *chunkstore.Content) bool {
	return len(c.Chunks) == 0 || len(c.Chunks) == 1 && c.Chunks[0].ID == c.ID
}

// lineWriter counts what it writes and keeps the first error.
type lineWriter struct {
	w       *bufio.Writer
	lines   int
	written int64
	err     error
}

func (l *lineWriter) line(b []byte) {
	if l.err != nil {
		return
	}
	n, err := l.w.Write(b)
	if err == nil {
		err = l.w.WriteByte('\n')
		n++
	}
	l.lines++
	l.written += int64(n)
	l.err = err
}

// The functions below are the one place that says how a line looks: the parser
// encodes what it understood and demands the same bytes.

func appendHeader(b []byte) []byte { return append(b, recipeMagic+" "+recipeVersion...) }

func (r *Recipe) appendImage(b []byte) []byte {
	return fmt.Appendf(b, "image block-size=%d codec=%s mtime=%d", r.BlockSize, r.Codec, r.ModTime)
}

func (r *Recipe) appendChunking(b []byte) []byte {
	c := r.Chunking
	return fmt.Appendf(b, "chunks min=%d average=%d max=%d", c.Min, c.Average, c.Max)
}

func appendEntry(b []byte, e *Entry) []byte {
	if e.Link != "" {
		b = append(b, lineHardLink, ' ')
		b = appendPath(b, e.Path)
		b = append(b, ' ')
		return appendPath(b, e.Link)
	}
	b = append(b, entryLetters[e.Type], ' ')
	b = fmt.Appendf(b, "%04o", e.Mode)
	for _, n := range [...]uint32{e.UID, e.GID, e.ModTime} {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	b = append(b, ' ')
	switch e.Type {
	case squashfs.Regular:
		b = strconv.AppendInt(b, e.Size, 10)
		b = append(b, ' ')
		if e.Size == 0 {
			b = append(b, '-')
		} else {
			b = append(b, e.Content.ID.String()...)
		}
		b = append(b, ' ')
	case squashfs.BlockDevice, squashfs.CharDevice:
		b = fmt.Appendf(b, "%d %d ", e.Major, e.Minor)
	}
	b = appendPath(b, e.Path)
	if e.Type == squashfs.Symlink {
		b = append(b, ' ')
		b = appendEscaped(b, e.Target)
	}
	return b
}

func appendXattr(b []byte, x squashfs.Xattr) []byte {
	b = append(b, lineXattr, ' ')
	b = appendEscaped(b, x.Name)
	b = append(b, ' ')
	return appendEscaped(b, string(x.Value))
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

func appendOrder(b []byte, path string) []byte {
	return appendPath(append(b, wordOrder+" "...), path)
}

func appendEnd(b []byte, lines int) []byte {
	return strconv.AppendInt(append(b, wordEnd+" "...), int64(lines), 10)
}

// appendPath writes a tree path with the leading slash that it has in recipes.
func appendPath(b []byte, path string) []byte { return appendEscaped(append(b, '/'), path) }

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

// inodeOf gives what a hard link shares with its first name.
func inodeOf(path string, first *Entry) Entry {
	e := tree.Entry{Attr: first.Attr, Path: path, Size: first.Size, Link: first.Path}
	return Entry{Entry: e}
}
