package config

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A node is a value of a TOML file: a table, an array or a single value.
type node struct {
	name   string // its key in the table that it is in
	offset int    // of that key, or of the array's element
	kind   unstable.Kind
	made   origin
	text   string           // of a single value; of an integer as it is written
	list   []*node          // elements of an array, members of a table in the file's order
	named  map[string]*node // the members by name
}

// origin says what made a table or an array: who may add to it depends on that.
type origin uint8

const (
	value   origin = iota // key = VALUE: complete
	header                // [NAME] or [[NAME]]
	between               // a header names a table in it: its own header may follow
	dotted                // key.KEY = VALUE: more such keys may follow
)

// mistake is what is wrong at an offset of the file.
type mistake struct {
	offset int
	key    string // dotted
	text   string
}

func (m *mistake) Error() string { return m.key + ": " + m.text }

func newTable(name string, offset int, made origin) *node {
	return &node{name: name, offset: offset, kind: unstable.Table, made: made,
		named: map[string]*node{}}
}

// parseTree reads a file. The library knows what tokens mean; here are TOML's rules on which tables
// are one and the same, and which keys are given twice. The error is a mistake.
func parseTree(b []byte) (*node, error) {
	root := newTable("", 0, header)
	current := root
	var p unstable.Parser
	p.Reset(b)
	for p.NextExpression() {
		e := p.Expression()
		var err error
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current, err = root.open(e)
		case unstable.KeyValue:
			err = current.set(e)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.Error(); err != nil {
		m := &mistake{text: err.Error()}
		if at, ok := err.(*unstable.ParserError); ok {
			m.offset, m.text = int(p.Range(at.Highlight).Offset), at.Message
		}
		return nil, m
	}
	return root, nil
}

// member finds or makes the member that a part of a key names. again tells that it was there.
func (n *node) member(part *unstable.Node, made origin) (m *node, again bool) {
	if m = n.named[string(part.Data)]; m != nil {
		return m, true
	}
	m = newTable(string(part.Data), int(part.Raw.Offset), made)
	n.named[m.name] = m
	n.list = append(n.list, m)
	return m, false
}

// open gives the table that a header opens.
func (n *node) open(e *unstable.Node) (*node, error) {
	for key := e.Key(); key.Next(); {
		part := key.Node()
		m, again := n.member(part, between)
		switch {
		case !key.IsLast():
			if m.made == value {
				return nil, twice(part, m.name)
			}
		case e.Kind == unstable.Table:
			if m.kind != unstable.Table || m.made != between {
				return nil, twice(part, m.name)
			}
			m.made = header
		case !again:
			m.kind, m.made = unstable.Array, header
			fallthrough
		default:
			if m.kind != unstable.Array || m.made == value {
				return nil, twice(part, m.name)
			}
			m.list = append(m.list, newTable(m.name, int(part.Raw.Offset), header))
		}
		if n = m; m.kind == unstable.Array { // a header goes on in the last of [[NAME]]
			n = m.list[len(m.list)-1]
		}
	}
	return n, nil
}

// set gives the key of an expression its value, in the table n.
func (n *node) set(e *unstable.Node) error {
	for key := e.Key(); key.Next(); {
		part := key.Node()
		m, again := n.member(part, dotted)
		if again && (key.IsLast() || m.made != dotted) {
			return twice(part, m.name)
		}
		n = m
	}
	return n.fill(e.Value())
}

// fill makes n what a value says.
func (n *node) fill(v *unstable.Node) error {
	n.kind, n.made = v.Kind, value
	switch v.Kind {
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			element := newTable(n.name, n.offset, value)
			if err := element.fill(it.Node()); err != nil {
				return err
			}
			n.list = append(n.list, element)
		}
	case unstable.InlineTable:
		n.kind = unstable.Table
		for it := v.Children(); it.Next(); {
			if err := n.set(it.Node()); err != nil {
				return err
			}
		}
	default:
		n.text = string(v.Data)
	}
	return nil
}

func twice(part *unstable.Node, name string) error {
	return &mistake{int(part.Raw.Offset), name, fmt.Sprintf("key %s is already defined", name)}
}
