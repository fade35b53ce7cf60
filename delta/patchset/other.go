package patchset

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// A content that a step makes may have a second way, with the transform of transform.Encoding: its
// encoder runs again, for fewer bytes and with more memory. That way has a group of its own at the
// end of the set. As the directory has no entries in such groups, programs that know nothing of
// them never read them.

// otherSaves is the part of the cost of the first way that another one saves at least.
const otherSaves = 4

// Other gives an entry the way that the set has beside it; nil when there is one way only. A target
// that takes it puts it in e's place in [Step.Entries]. It is e again that is then the other one.
func (e *Entry) Other() *Entry { return e.other }

// Encodes tells whether e is the way that runs an encoder again, of the two that there are.
func (e *Entry) Encodes() bool {
	if e.other == nil {
		return false
	}
	id, ok := transform.Encoding(e.other.Transform)
	return ok && id == e.Transform
}

// findOthers gives the entries that may have another way the groups without entries at the end: as
// many as there are such entries, in their order. One without a byte is none.
func (s *Step) findOthers() error {
	at := 0
	if n := len(s.Entries); n > 0 {
		at = s.Entries[n-1].Group + 1
	}
	groups := s.head.Groups[at:]
	if len(groups) == 0 {
		return nil
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		id, ok := transform.Encoding(e.Transform)
		if !ok {
			continue
		}
		if at == len(s.head.Groups) {
			return fmt.Errorf("%w: %d groups for other ways, and more contents that may have one",
				chunkstore.ErrCorrupt, len(groups))
		}
		if s.head.Groups[at].Plain > 0 {
			first := *e
			other := first
			other.Transform, other.Group, other.other = id, at, &first
			first.other, e.other = &other, &other
		}
		at++
	}
	if at < len(s.head.Groups) {
		return fmt.Errorf("%w: %d groups that are of no use", chunkstore.ErrCorrupt,
			len(s.head.Groups)-at)
	}
	return nil
}

// groupOf gives group n with its entries, without their patches.
func (s *Step) groupOf(n int) *Group {
	g := &Group{step: s, number: n}
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.Group != n {
			if e = e.other; e == nil || e.Group != n {
				continue
			}
		}
		if g.entries == nil {
			g.first = i
		}
		g.entries = append(g.entries, e)
	}
	return g
}

// entry gives entry i of Step.Entries as this group makes it.
func (g *Group) entry(i int) *Entry {
	if k := i - g.first; k >= 0 && k < len(g.entries) {
		return g.entries[k]
	}
	return &g.step.Entries[i]
}

// readLength cuts from the literals how many bytes e's patch makes, which the directory does not
// have, and gives e with that.
func (e *Entry) readLength(s *suffix.Streams) (*Entry, error) {
	n, size := binary.Uvarint(s[suffix.Literals])
	if size <= 0 || n > uint64(e.length) {
		return nil, fmt.Errorf("content %v: %w: the length of another way", e.Content.ID,
			chunkstore.ErrCorrupt)
	}
	s[suffix.Literals] = s[suffix.Literals][size:]
	read := *e
	read.length = int64(n)
	return &read, nil
}

// encoding gives f.plain with the step that runs the encoder again. old and plain are the contents
// before the transform. It is nil when there is none: the encoder is not known, or takes too much.
func (f form) encoding(old, plain []byte) []byte {
	id, ok := transform.Encoding(f.entry.Transform)
	if !ok {
		return nil
	}
	t, ok := transform.ByID(id)
	if !ok {
		return nil
	}
	out, ok := transform.AddStep(t, f.plain, old, plain, nil)
	if !ok || len(out) > rewrittenMax {
		return nil
	}
	return out
}

// otherWay is the patch of another way while it is made.
type otherWay struct {
	entry   Entry
	form    []byte // what the patch makes
	left    []byte // of form, without a patch
	streams suffix.Streams
	cost    int64
}

// newOther begins the other way to an entry; nil without a form.
func newOther(e Entry, form []byte) *otherWay {
	if form == nil {
		return nil
	}
	e.length = int64(len(form))
	return &otherWay{entry: e, form: form, left: form}
}

// add makes the patch of the next piece, of which the first way has s for the same bytes of its
// own.
func (o *otherWay) add(x *matcher, piece []byte, s *suffix.Streams, cost int64) {
	if o == nil || len(o.left) == 0 {
		return
	}
	n := min(len(o.left), largePiece)
	if !bytes.Equal(o.left[:n], piece) {
		made, c := x.diff(o.left[:n], func() {})
		s, cost = &made, c
	}
	o.streams.Append(s)
	o.cost += cost
	o.left = o.left[n:]
}

// worth gives the streams of the group of another way, if it saves enough of what the first one
// costs and gives what it should from old, the rewritten base.
func (o *otherWay) worth(old []byte, cost int64) *suffix.Streams {
	if o == nil || len(o.left) > 0 || o.cost > cost-cost/otherSaves {
		return nil
	}
	got, err := o.entry.patch(Bytes(old), int64(len(old)), o.streams)
	if err != nil || !bytes.Equal(got, o.form) {
		return nil
	}
	o.streams[suffix.Literals] = append(binary.AppendUvarint(nil, uint64(len(o.form))),
		o.streams[suffix.Literals]...)
	return &o.streams
}

// addOthers appends the groups of other ways, once it is known which entries there are.
func (m *maker) addOthers(ctx context.Context) error {
	some := false
	for i := range m.entries {
		e := &m.entries[i]
		if _, ok := transform.Encoding(e.Transform); !ok {
			continue
		}
		g := openRun{groups: []groupEnd{{}}}
		if s := m.others[e.Content]; s != nil {
			g.streams, some = *s, true
			for k := range g.streams {
				g.groups[0].ends[k] = len(g.streams[k])
			}
		}
		m.closed = append(m.closed, g)
	}
	if !some {
		m.closed = nil
		return nil
	}
	return m.work(ctx, 0)
}
