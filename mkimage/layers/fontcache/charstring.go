package fontcache

import (
	"errors"
	"fmt"
	"slices"

	ps "github.com/go-text/typesetting/font/cff/interpreter"
	"github.com/go-text/typesetting/font/opentype"
)

// operatorsMax is how many operators a glyph may run: subroutines that call one another could run
// for ever.
const operatorsMax = 1 << 13

var errTooLong = errors.New("a glyph that is drawn for too long")

// drawn tells whether a glyph is drawn.
func (o *outlines) drawn(glyph int) (bool, error) {
	if glyph >= len(o.glyphs) {
		return false, fmt.Errorf("%w: a glyph that is not there", errUnread)
	}
	local, ok := o.local(glyph)
	if !ok {
		return false, fmt.Errorf("%w: its glyphs", errUnread)
	}
	d := &drawing{outlines: o}
	var m ps.Machine
	if err := m.Run(o.glyphs[glyph], local, o.global, d); err != nil {
		return false, fmt.Errorf("%w: %w", errUnread, err)
	}
	return d.drawn, nil
}

// drawing follows a glyph's charstring. It implements ps.OperatorHandler. What it does with the
// operators is what the library's own handlers do, but that it keeps no lines.
type drawing struct {
	*outlines
	path      ps.CharstringReader
	operators int
	drawn     bool
}

func (d *drawing) Context() ps.Context { return ps.Type2Charstring }

// Apply implements ps.OperatorHandler.
func (d *drawing) Apply(m *ps.Machine, op ps.Operator) error {
	if d.operators++; d.operators > operatorsMax {
		return errTooLong
	}
	if op.IsEscaped {
		return d.end(m, d.flex(m, op.Operator))
	}
	switch op.Operator {
	case 10:
		return ps.LocalSubr(m)
	case 29:
		return ps.GlobalSubr(m)
	case 19, 20: // hintmask, cntrmask
		d.path.Hintmask(m)
		return nil
	case 11, 14: // return, endchar
		switch {
		case d.two:
			return fmt.Errorf("operator %v", op)
		case op.Operator == 11:
			return m.Return()
		}
		d.path.ClosePath()
		return d.end(m, ps.ErrInterrupt)
	case 15, 16: // vsindex, blend: whether FreeType draws them depends on what was asked before
		return fmt.Errorf("operator %v", op)
	}
	return d.end(m, d.draw(m, op.Operator))
}

// end looks at what an operator drew, and forgets it and its numbers.
func (d *drawing) end(m *ps.Machine, err error) error {
	m.ArgStack.Clear()
	d.drawn = d.drawn || slices.ContainsFunc(d.path.Segments, func(s opentype.Segment) bool {
		return s.Op != opentype.SegmentOpMoveTo
	})
	d.path.Segments = d.path.Segments[:0]
	return err
}

// flex runs an operator of two bytes.
func (d *drawing) flex(m *ps.Machine, operator byte) error {
	switch operator {
	case 34:
		return d.path.Hflex(m)
	case 35:
		return d.path.Flex(m)
	case 36:
		return d.path.Hflex1(m)
	case 37:
		return d.path.Flex1(m)
	}
	return fmt.Errorf("operator 12 %d", operator)
}

// draw runs an operator that moves or draws, or tells where hints are.
func (d *drawing) draw(m *ps.Machine, operator byte) error {
	p := &d.path
	switch operator {
	case 1, 18:
		p.Hstem(m)
	case 3, 23:
		p.Vstem(m)
	case 21:
		return p.Rmoveto(m)
	case 22:
		return p.Hmoveto(m)
	case 4:
		return p.Vmoveto(m)
	case 5:
		p.Rlineto(m)
	case 6:
		p.Hlineto(m)
	case 7:
		p.Vlineto(m)
	case 8:
		p.Rrcurveto(m)
	case 24:
		return p.Rcurveline(m)
	case 25:
		return p.Rlinecurve(m)
	case 26:
		p.Vvcurveto(m)
	case 27:
		p.Hhcurveto(m)
	case 30:
		p.Vhcurveto(m)
	case 31:
		p.Hvcurveto(m)
	default:
		return fmt.Errorf("operator %d", operator)
	}
	return nil
}
