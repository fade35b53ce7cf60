package trace

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"deltaup/mkimage/internal/recipetext"
)

// Limits of the format.
const (
	maxLine   = 1 << 20 // bytes of one line
	maxPath   = 4095    // PATH_MAX without its zero byte
	maxRanges = 1 << 14 // ranges of one file
	maxOffset = 1 << 50 // bytes: no file of an image is larger
)

// format is the spelling that traces share with recipes, see doc/trace.md.
var format = recipetext.Format{
	Name:    "trace",
	Magic:   "deltaup-trace",
	Version: "1",
	LineMax: maxLine,
}

const (
	wordLost = "lost"
	noRanges = "-"
)

// WriteTo writes t as doc/trace.md says.
func (t *Trace) WriteTo(w io.Writer) (int64, error) {
	out := recipetext.NewWriter(w, format)
	out.Line(appendLost(out.Buf(), t.Lost))
	for i := range t.Files {
		out.Line(t.Files[i].append(out.Buf()))
	}
	return out.Close()
}

func appendLost(b []byte, lost int64) []byte {
	return strconv.AppendInt(append(b, wordLost+" "...), lost, 10)
}

// append appends f's line to b: microseconds, bytes, path, ranges.
func (f *File) append(b []byte) []byte {
	b = fmt.Appendf(b, "%d %d ", f.First.Microseconds(), f.Bytes())
	b = append(recipetext.AppendEscaped(b, f.Path), ' ')
	if len(f.ranges) == 0 {
		return append(b, noRanges...)
	}
	for i, r := range f.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%d+%d", r.offset, r.length)
	}
	return b
}

// parse reads what Trace.WriteTo writes and nothing else: WriteTo writes what parse accepts as the
// same bytes again. Errors name the line and wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion,
// or are those of rd.
func parse(rd io.Reader) (*Trace, error) {
	p := parser{seen: make(map[string]bool)}
	if err := recipetext.Read(rd, format, []recipetext.LineFunc{p.lost}, p.file); err != nil {
		return nil, err
	}
	return &p.trace, nil
}

type parser struct {
	trace Trace
	seen  map[string]bool
}

func (p *parser) lost(f *recipetext.Fields, b []byte) ([]byte, error) {
	f.Word(wordLost)
	p.trace.Lost = int64(f.Number(10, 62))
	return appendLost(b, p.trace.Lost), nil
}

func (p *parser) file(f *recipetext.Fields, b []byte) ([]byte, error) {
	file := File{First: time.Duration(f.Number(10, 50)) * time.Microsecond}
	f.Number(10, 62) // bytes: the sum of the ranges, which parse checks by writing the line again
	file.Path = f.Escaped()
	var err error
	if file.ranges, err = parseRanges(f.Text()); err == nil {
		err = checkPath(file.Path)
	}
	if err == nil {
		err = p.add(file)
	}
	return file.append(b), err
}

// add appends a file, unless it is out of order or there already.
func (p *parser) add(file File) error {
	files := p.trace.Files
	switch {
	case p.seen[file.Path]:
		return recipetext.Corrupt("%q is there twice", file.Path)
	case len(files) > 0 && file.First < files[len(files)-1].First:
		return recipetext.Corrupt("%q is out of order", file.Path)
	case len(files) == maxFiles:
		return recipetext.Corrupt("more than %d files", maxFiles)
	}
	p.seen[file.Path] = true
	p.trace.Files = append(files, file)
	return nil
}

func parseRanges(text string) ([]byteRange, error) {
	if text == noRanges {
		return nil, nil
	}
	parts := strings.SplitN(text, ",", maxRanges+1)
	if len(parts) > maxRanges {
		return nil, recipetext.Corrupt("more than %d ranges", maxRanges)
	}
	ranges := make([]byteRange, len(parts))
	for i, part := range parts {
		offset, length, _ := strings.Cut(part, "+")
		o, err := strconv.ParseInt(offset, 10, 64)
		n, err2 := strconv.ParseInt(length, 10, 64)
		if err != nil || err2 != nil || o < 0 || n <= 0 || o >= maxOffset || n > maxOffset-o ||
			i > 0 && o <= ranges[i-1].end() {
			return nil, recipetext.Corrupt("%.40q is no range behind the one before", part)
		}
		ranges[i] = byteRange{o, n}
	}
	return ranges, nil
}

// checkPath refuses a path that cannot name a file of an image.
func checkPath(path string) error {
	if path == "" || len(path) > maxPath || strings.Contains(path, "\x00") {
		return recipetext.Corrupt("%.40q is no path", path)
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			return recipetext.Corrupt("%q is no path from the image's root", path)
		}
	}
	return nil
}
