package patchset

import (
	"context"
	"runtime"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

const (
	// programsMax bounds a program and its base together, which are in memory.
	programsMax = 640 << 20
	// programWindow is how much of a base above suffix.WindowMax is searched for a piece. It is less
	// than for other contents, to have room for both programs.
	programWindow = 32 << 20
)

// program is a candidate for a program whose addresses are predicted.
type program struct {
	*layouts
	from, plain []byte
	candidate
	// as long as the streams are without predictions
	total  int   // bytes of the streams
	toCode int64 // those that a coder takes
}

// newProgram gives the entries for a program and its base. ok is false when there are no addresses
// to predict.
func newProgram(c, base *chunkstore.Content, old, plain []byte) (_ *program, ok bool) {
	from, to, ok := transform.Layouts(old, plain)
	if !ok {
		return nil, false
	}
	p := &program{layouts: &layouts{from, to}, from: old, plain: plain}
	piece := int64(largePiece)
	if pieces(c) == 1 {
		piece = c.Size
	}
	for off := int64(0); off < c.Size; off += piece {
		e := Entry{Content: c, Base: base, Offset: off, Length: min(piece, c.Size-off),
			layouts: p.layouts}
		e.length, e.hash = e.Length, chunkstore.Sum(plain[off:off+e.Length])
		p.entries = append(p.entries, e)
	}
	return p, true
}

// found is nil when the streams are too long. What it gives does not keep the programs in memory.
func (p *program) found() *candidate {
	if p == nil || p.total > largeMax {
		return nil
	}
	found := p.candidate
	return &found
}

// program makes the candidate of a content above PieceMax. It is nil when that is no program.
func (m *maker) program(ctx context.Context, c, base *chunkstore.Content) (*program, error) {
	if base == nil || base.Size+c.Size > programsMax {
		return nil, nil
	}
	begin := make([]byte, len(magicELF))
	if err := readPart(ctx, m.new, c, begin, 0); err != nil || string(begin) != magicELF {
		return nil, err
	}
	plain, old, release, err := m.readBoth(ctx, c, base,
		base.Size+c.Size+searchRoom(int(min(base.Size, suffix.WindowMax)), largePiece))
	if err != nil {
		return nil, err
	}
	defer release()
	p, ok := newProgram(c, base, old, plain)
	if !ok {
		return nil, nil
	}
	p.match(m, m.progress.matched)
	if p.total > largeMax {
		return p, nil
	}
	err = p.predict()
	m.progress.matched(0, p.coded()-p.toCode, 0)
	return p, err
}

const magicELF = "\x7fELF"

// smallProgram makes the candidate of a content of at most PieceMax bytes with predicted addresses.
// It is nil when there are none to predict.
func (m *maker) smallProgram(ctx context.Context, c, base *chunkstore.Content,
	old, plain []byte) (*candidate, error) {
	p, ok := newProgram(c, base, old, plain)
	if !ok {
		return nil, nil
	}
	release, err := m.room.take(ctx, searchRoom(len(old), len(plain)))
	if err != nil {
		return nil, err
	}
	defer release()
	p.match(m, func(_, _, _ int64) {})
	if err := p.predict(); err != nil {
		return nil, err
	}
	return p.found(), nil
}

// window gives the window of the base for an entry, as windowOf does. Its middle is where the piece
// would lie if the section of the base were scaled to the content's.
func (p *program) window(e *Entry) (begin, length int64) {
	size := e.Base.Size
	if size <= suffix.WindowMax {
		return 0, size
	}
	const grid = programWindow / 2
	middle := p.old.Scaled(p.new, e.Offset+e.Length/2)
	begin = min(max(0, middle-grid/2)/grid*grid, (size-programWindow+grid-1)/grid*grid)
	return begin, min(programWindow, size-begin)
}

// match finds the steps of the patches, as long as the streams are not too long. It calls matched
// as teller has it.
func (p *program) match(m *maker, matched func(plain, streams, work int64)) {
	x, begin, length := (*matcher)(nil), int64(-1), int64(0)
	for i := range p.entries {
		e := &p.entries[i]
		at, n := p.window(e)
		if at != begin || n != length {
			if x = nil; begin >= 0 {
				// free the last index before making the next: an index takes most of the memory
				runtime.GC()
			}
			begin, length = at, n
			x = m.matcher(p.old.Labelled(p.from, int(at), int(at+n)), at)
		}
		s, cost := x.diff(p.new.Labelled(p.plain, int(e.Offset), int(e.Offset+e.Length)), func() {})
		p.streams = append(p.streams, s)
		toCode := coded(int64(s.Len()), cost)
		p.toCode += toCode
		matched(e.Length, toCode, e.Length)
		if p.total += s.Len(); p.total > largeMax {
			rest := e.Content.Size - e.Offset - e.Length
			matched(rest, -p.toCode, rest) // nothing is kept
			return
		}
	}
}

// predict makes the patches anew: the same steps, with predicted addresses.
func (p *program) predict() error {
	var moves suffix.Moves
	for i, s := range p.streams {
		moves.Add(s, p.entries[i].Offset, p.entries[i].Length)
	}
	moves.Sort()
	p.cost = p.stored()
	for i := range p.entries {
		e := &p.entries[i]
		plain := p.plain[e.Offset : e.Offset+e.Length]
		s := p.streams[i].Guessed(p.from, plain, e.Offset, e.guess(&moves))
		p.streams[i] = s
		p.cost += estimate(&s)
		got, err := e.moved(Bytes(p.from), s, &moves)
		if err := checkPatched(got, err, plain); err != nil {
			return err
		}
	}
	return nil
}
