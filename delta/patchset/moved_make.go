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

// program is a candidate for a program above PieceMax whose addresses are predicted.
type program struct {
	*layouts
	from, plain []byte
	candidate
	total int // bytes of the streams, as long as those are without predictions
}

// found is nil when the streams are too long. What it gives does not keep the programs in memory.
func (p *program) found() *candidate {
	if p == nil || p.total > largeMax {
		return nil
	}
	found := p.candidate
	return &found
}

// program makes a program's candidate. It is nil when there are no addresses to predict.
func (m *maker) program(ctx context.Context, c, base *chunkstore.Content) (*program, error) {
	if base == nil || base.Size+c.Size > programsMax {
		return nil, nil
	}
	begin := make([]byte, 4)
	if err := readPart(ctx, m.new, c, begin, 0); err != nil || string(begin) != "\x7fELF" {
		return nil, err
	}
	plain, old, release, err := m.readBoth(ctx, c, base,
		base.Size+c.Size+searchRoom(int(min(base.Size, suffix.WindowMax)), largePiece))
	if err != nil {
		return nil, err
	}
	defer release()
	from, to, ok := transform.Layouts(old, plain)
	if !ok {
		return nil, nil
	}
	l := &layouts{from, to}
	p := &program{layouts: l, from: old, plain: plain}
	for off := int64(0); off < c.Size; off += largePiece {
		e := Entry{Content: c, Base: base, Offset: off, Length: min(largePiece, c.Size-off),
			layouts: l}
		e.length, e.hash = e.Length, chunkstore.Sum(plain[off:off+e.Length])
		p.entries = append(p.entries, e)
	}
	p.match(m.progress)
	if p.total > largeMax {
		return p, nil
	}
	err = p.predict()
	m.progress.matched(0, p.size()-int64(p.total), 0)
	return p, err
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

// match finds the steps of the patches, as long as the streams are not too long.
func (p *program) match(progress *teller) {
	index, begin, length := suffix.NewIndex(nil, 0), int64(-1), int64(0)
	for i := range p.entries {
		e := &p.entries[i]
		at, n := p.window(e)
		if at != begin || n != length {
			begin, length, index = at, n, nil
			// free the last index before making the next: an index takes most of the memory
			runtime.GC()
			index = suffix.NewIndex(p.old.Labelled(p.from, int(at), int(at+n)), at)
		}
		s, _ := smallestDiff(index,
			p.new.Labelled(p.plain, int(e.Offset), int(e.Offset+e.Length)), func() {})
		p.streams = append(p.streams, s)
		progress.matched(e.Length, int64(s.Len()), e.Length)
		if p.total += s.Len(); p.total > largeMax {
			rest := e.Content.Size - e.Offset - e.Length
			progress.matched(rest, -int64(p.total), rest) // nothing is kept
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
