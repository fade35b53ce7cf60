package recipetext

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"deltaup/chunkstore"
)

// LineFunc parses the fields of one line. It appends the line to b, which is empty, as a Writer's
// caller writes what it has parsed, and returns b. It may ignore errors of f, which its caller
// checks first.
type LineFunc func(f *Fields, b []byte) ([]byte, error)

// Read reads a recipe: the first line, one line for each of parameters, any number of lines for
// body, and the last line. It accepts one spelling only and nothing behind the last line. Errors
// name the format and the line, and wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion, or are
// those of r.
func Read(r io.Reader, f Format, parameters []LineFunc, body LineFunc) error {
	in := reader{in: bufio.NewReaderSize(r, 64<<10), format: f}
	if err := in.read(parameters, body); err != nil {
		return fmt.Errorf("%s: line %d: %w", f.Name, in.number, err)
	}
	return nil
}

type reader struct {
	in     *bufio.Reader
	format Format
	number int    // number of the current line, from 1
	text   []byte // the current line; the next overwrites it
	again  []byte // buffer of the line that was encoded again
}

func (r *reader) read(parameters []LineFunc, body LineFunc) error {
	if err := r.next(); err != nil {
		return err
	}
	if err := r.header(); err != nil {
		return err
	}
	for _, take := range parameters {
		if err := r.next(); err != nil {
			return err
		}
		if err := r.line(take); err != nil {
			return err
		}
	}
	for {
		if err := r.next(); err != nil {
			return err
		}
		if bytes.HasPrefix(r.text, []byte(wordEnd+" ")) {
			return r.end()
		}
		if err := r.line(body); err != nil {
			return err
		}
	}
}

// next reads one line into r.text.
func (r *reader) next() error {
	r.number++
	r.text = r.text[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.text)+len(part) > r.format.LineMax {
			return Corrupt("longer than %d bytes", r.format.LineMax)
		}
		r.text = append(r.text, part...)
		switch {
		case err == nil:
			r.text = r.text[:len(r.text)-1]
			return nil
		case errors.Is(err, io.EOF):
			return Corrupt("the file ends before its end line")
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func (r *reader) header() error {
	magic, version, _ := bytes.Cut(r.text, []byte(" "))
	if _, err := strconv.ParseUint(string(version), 10, 32); string(magic) != r.format.Magic ||
		err != nil {
		return Corrupt("not a %s: it does not begin with %q", r.format.Name, r.format.Magic)
	}
	if string(version) != r.format.Version {
		return fmt.Errorf("version %s, this program reads version %s: %w", version,
			r.format.Version, chunkstore.ErrVersion)
	}
	return nil
}

// line has take parse the current line and demands that it encodes to the same bytes.
func (r *reader) line(take LineFunc) error {
	f := Fields{Line: r.number, rest: r.text, more: true}
	again, err := take(&f, r.again[:0])
	switch {
	case f.err != nil:
		return f.err
	case err != nil:
		return err
	case f.more:
		return Corrupt("too many fields")
	case !bytes.Equal(again, r.text):
		return Corrupt("not in the one permitted spelling")
	}
	r.again = again
	return nil
}

func (r *reader) end() error {
	if !bytes.Equal(appendEnd(r.again[:0], r.number-1), r.text) {
		return Corrupt("the end line does not count %d lines before it", r.number-1)
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return Corrupt("bytes after the end line")
	}
	return nil
}

// Chunking gives the function that parses the line of [AppendChunking] into p.
func Chunking(p *chunkstore.Params) LineFunc {
	return func(f *Fields, b []byte) ([]byte, error) {
		f.Word(wordChunks)
		p.Min = f.Named("min").Int()
		p.Average = f.Named("average").Int()
		p.Max = f.Named("max").Int()
		return AppendChunking(b, *p), nil
	}
}
