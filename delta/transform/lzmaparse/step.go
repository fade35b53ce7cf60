package lzmaparse

import (
	"io"

	"deltaup/delta/transform/bcj"
	"deltaup/delta/transform/parsestep"
)

// stepSizes are those of the tables of all steps. A fuzzer takes smaller ones.
var stepSizes = sizes{parsestep.Sizes{Slots: 20, Heads: 18, Window: 20}}

type sizes struct{ parsestep.Sizes }

// MakeStep gives the step from a file whose parse is old to the one with which file begins. copies
// tells where the new content resembles the old one, in order of New and apart. Errors tell that a
// file or a copy is none that a step can be made for.
func MakeStep(old *Parse, file []byte, copies []parsestep.Run) ([]byte, error) {
	return stepSizes.makeStep(old, file, copies)
}

func (s sizes) makeStep(old *Parse, file []byte, copies []parsestep.Run) ([]byte, error) {
	f, content, _, err := unpack(file, 0, false)
	if err != nil {
		return nil, err
	}
	r, _, err := newReader(file, content) // it writes what is there already
	if err != nil {
		return nil, err
	}
	c := &step{filters: f, reader: r}
	if err := s.run(c, parsestep.NewCoder(nil, true, traits, s.Sizes), old, content, copies); err != nil {
		return nil, err
	}
	return c.model.Finish(), nil
}

// ApplyStep writes the file whose content is given, and gives its length in bytes. old is the parse
// of the old file. The content is overwritten. It takes Memory beside its arguments. It stops when
// the file gets longer than most bytes. Errors are those of w, or tell that the step is none from
// old to a file of content.
func ApplyStep(w io.Writer, old *Parse, step, content []byte, most int) (length int, err error) {
	return stepSizes.applyStep(w, old, step, content, most)
}

func (s sizes) applyStep(w io.Writer, old *Parse, b, content []byte, most int) (int, error) {
	c := &step{w: w, most: most}
	err := s.run(c, parsestep.NewCoder(b, false, traits, s.Sizes), old, content, nil)
	return c.length, err
}

// step is a step that is made or applied. Both run the same code.
type step struct {
	filters
	model  *model
	reader *reader // when it is made: of the new file

	w      io.Writer // when it is applied
	length int       // bytes written
	most   int
}

func (s sizes) run(c *step, coder *parsestep.Coder, old *Parse, content []byte,
	copies []parsestep.Run) (err error) {
	x := coder.Number(parsestep.Truth(c.x86)|uint32(c.dict)<<1, streamNumbers, 4)
	if x > 2*dictMax+1 {
		return errCorrupt
	}
	c.filters = filters{x86: x&1 != 0, dict: byte(x >> 1)}
	m, ok := parsestep.NewModel(coder, traits, s.Sizes, content, old.matches(), copies, streamNumbers)
	if !ok {
		return errContent
	}
	c.model = &model{Model: m, size: len(content)}
	check := uint32(0)
	if c.reader == nil {
		if check = sum(content); c.x86 {
			bcj.Encode(content)
		}
	}
	stream, block := c.head()
	if err := c.write(append(stream, block...)); err != nil {
		return err
	}
	begin := c.length
	w := &writer{lzma: lzma{content: content}}
	var out []byte
	for w.chunk.control = chunkStored; w.chunk.control != chunkEnd; {
		if out, err = c.chunk(w, out[:0]); err != nil {
			return err
		}
		if err := c.write(out); err != nil {
			return err
		}
	}
	packed := c.length - begin
	return c.write(c.appendTail(out[:0], packed, len(content), check))
}

// chunk codes a chunk, and appends it.
func (c *step) chunk(w *writer, out []byte) (_ []byte, err error) {
	m, r := c.model, c.reader
	var k chunk
	if r != nil {
		if k, err = r.begin(); err != nil {
			return out, err
		}
	}
	control := m.Number(uint32(k.control), streamNumbers, 5+uint32(w.chunk.control>>resetShift))
	if k.control = byte(control); control > 0xff || m.Overread() {
		return out, errCorrupt
	}
	switch {
	case k.lzma():
		if k.resets() >= resetProps {
			props := m.Number(uint32(k.props), streamNumbers, 13)
			if k.props = properties(props); props > 0xff || !k.props.valid() {
				return out, errCorrupt
			}
		}
	case k.control != chunkEnd:
		size := m.Number(uint32(k.size), streamNumbers, 14)
		if k.size = int(size); size > chunkMax || size == 0 {
			return out, errCorrupt
		}
	}
	if !w.begin(k) {
		return out, errCorrupt
	}
	var given symbol
	for k.lzma() {
		full := w.full()
		if m.Code(r != nil && full == r.more(), 1) != full {
			break
		}
		if r != nil {
			if given, err = r.next(); err != nil {
				return out, err
			}
		}
		s, ok := m.symbol(given, w.at, &w.last)
		if !ok || r != nil && s != given {
			return out, errCorrupt
		}
		if _, ok := w.symbol(s, len(w.content)); !ok || w.at-w.start > chunkPlain {
			return out, errCorrupt
		}
	}
	out, ok := w.append(out)
	if !ok {
		return out, errCorrupt
	}
	return out, nil
}

// write writes bytes of the file. A maker compares them with the file instead.
func (c *step) write(b []byte) error {
	if len(b) > c.most-c.length && c.reader == nil {
		return errCorrupt
	}
	c.length += len(b)
	if c.reader != nil {
		return nil
	}
	_, err := c.w.Write(b)
	return err
}
