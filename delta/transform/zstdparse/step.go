package zstdparse

import (
	"bytes"
	"cmp"
	"io"

	"deltaup/delta/transform/parsestep"
)

const (
	headMax        = 32
	descriptionMax = 1 << 8 // of a tree, of tables
)

// sizes are the lengths of the tables of a step, as powers of two.
type sizes struct {
	parsestep.Sizes
	triples int // of the last positions of three bytes
}

// stepSizes are those of all steps. A fuzzer takes smaller ones.
var stepSizes = sizes{parsestep.Sizes{Slots: 20, Heads: 18, Window: 21}, 17}

// MakeStep gives the step from an old frame to a new one whose content is given. copies tells where
// the content resembles that of the old frame, in order of New and apart. Nothing else may follow
// the new frame. Errors tell that a frame or a copy is none that a step can be made for.
func MakeStep(old, frame, content []byte, copies []parsestep.Run) ([]byte, error) {
	return stepSizes.makeStep(old, frame, content, copies)
}

func (s sizes) makeStep(old, frame, content []byte, copies []parsestep.Run) ([]byte, error) {
	p, err := readParse(bytes.NewReader(old), int64(len(old)))
	if err != nil {
		return nil, err
	}
	z, err := newReader(bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	m, ok := s.newModel(nil, true, content, p, copies)
	if !ok {
		return nil, errContent
	}
	m.short(z.header(), headMax)
	at := 0
	for {
		b, err := z.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if b.size > len(content)-at {
			return nil, errContent
		}
		if !m.block(b, at) || b.kind == compressed && !m.sequences(b, at) {
			return nil, errCorrupt
		}
		at += b.size
	}
	if at != len(content) {
		return nil, errContent
	}
	sum, err := z.trailer()
	m.short(sum, headMax)
	return m.Finish(), err
}

// ApplyStep writes the frame whose content is given, and gives its length in bytes. old has the old
// frame, with which its size bytes begin. It takes Memory beside content and step. It stops when the
// frame gets longer than most bytes. Errors are those of w and old, or tell that the step is none
// from old to a frame of content.
func ApplyStep(w io.Writer, old io.ReaderAt, size int64, step, content []byte,
	most int) (length int, err error) {
	return stepSizes.applyStep(w, old, size, step, content, most)
}

func (s sizes) applyStep(w io.Writer, old io.ReaderAt, size int64, step, content []byte,
	most int) (length int, err error) {
	p, err := readParse(old, size)
	if err != nil {
		return 0, err
	}
	m, ok := s.newModel(step, false, content, p, nil)
	if !ok {
		return 0, errCorrupt
	}
	out, ok := m.short(nil, headMax)
	if !ok {
		return 0, errCorrupt
	}
	var blocks writer
	b := &block{}
	for at := 0; !b.last; at += b.size {
		if !m.block(b, at) || b.kind == compressed && !m.sequences(b, at) {
			return length, cmp.Or(p.matches.Err(), errCorrupt)
		}
		if out, err = blocks.append(out, b, content[at:at+b.size]); err != nil {
			return length, err
		}
		if len(out) > most-length || b.last && at+b.size != len(content) {
			return length, errCorrupt
		}
		if err := p.matches.Err(); err != nil {
			return length, err
		}
		if _, err := w.Write(out); err != nil {
			return length, err
		}
		length += len(out)
		out = out[:0]
	}
	sum, ok := m.short(nil, headMax)
	if !ok || m.Overread() || len(sum) > most-length {
		return length, errCorrupt
	}
	_, err = w.Write(sum)
	return length + len(sum), err
}

func (s sizes) newModel(step []byte, writing bool, content []byte, old *parse,
	copies []parsestep.Run) (*model, bool) {
	t := traits(s.triples)
	m, ok := parsestep.NewModel(parsestep.NewCoder(step, writing, t, s.Sizes), t, s.Sizes, content,
		old.matches, copies, streamNumbers)
	return &model{Model: m, size: len(content), last: firstRepeats}, ok
}

// short codes a few bytes and their number.
func (m *model) short(b []byte, most int) ([]byte, bool) {
	n := m.Number(uint32(len(b)), streamNumbers, 4)
	if n > uint32(most) {
		return nil, false
	}
	if !m.Writing {
		b = make([]byte, n)
	} else {
		b = bytes.Clone(b)
	}
	m.Bytes(b, streamBytes)
	return b, true
}

// block codes what a block holds beside its sequences; at is where its content begins. Only the
// last block may be empty, so that there is an end of blocks.
func (m *model) block(b *block, at int) bool {
	field := func(v, most, context uint32) (uint32, bool) {
		v = m.Number(v, streamBlock, context)
		return v, v <= most
	}
	v, ok := field(uint32(b.kind)<<1|parsestep.Truth(b.last), 2*uint32(compressed)+1, 0)
	b.kind, b.last = kind(v>>1), v&1 != 0
	size, ok2 := field(uint32(b.size), uint32(min(blockMax, m.size-at)), 1)
	b.size = int(size)
	if !ok || !ok2 || m.Overread() || b.size == 0 && !b.last {
		return false
	}
	if b.kind != compressed {
		return true
	}
	v, ok = field(uint32(b.literals)<<1|parsestep.Truth(b.oneStream), 7, 2)
	b.literals, b.oneStream = literalsKind(v>>1), v&1 != 0
	if b.literals != literalsTree {
		b.tree = nil
	} else if b.tree, ok2 = m.short(b.tree, descriptionMax); !ok2 {
		return false
	}
	v, ok2 = field(uint32(b.modes), 255, 3)
	b.modes = byte(v)
	if !ok || !ok2 {
		return false
	}
	b.tables, ok = m.short(b.tables, descriptionMax)
	return ok
}
