package systemd

import (
	"bytes"
	"slices"
)

// Strings are strings one behind another, each with a zero at its end. A string that is there
// already, or that another one ends with, is not stored again. It depends on the order of adding
// which end is found: the trie has a node for each stored string, hung below the first letters,
// from behind, in which it differs from those before.
//
// The zero Strings is not valid, see [NewStrings].
type Strings struct {
	bytes []byte
	root  stringNode
}

type stringNode struct {
	start, length int
	children      []stringChild // sorted
}

type stringChild struct {
	letter byte
	node   *stringNode
}

// NewStrings makes Strings that have the empty string.
func NewStrings() *Strings { return &Strings{bytes: []byte{0}} }

// Bytes are all strings.
func (s *Strings) Bytes() []byte { return s.bytes }

// Add gives the offset of a string, which has no zero in it.
func (s *Strings) Add(text string) int {
	if text == "" {
		return 0
	}
	node := &s.root
	for depth := 0; ; depth++ {
		start := node.start + node.length - len(text)
		if depth == len(text) || node.length >= len(text) && string(s.bytes[start:start+len(text)]) == text {
			return start
		}
		letter := text[len(text)-1-depth]
		i, ok := slices.BinarySearchFunc(node.children, letter, func(c stringChild, l byte) int {
			return int(c.letter) - int(l)
		})
		if !ok {
			added := &stringNode{start: len(s.bytes), length: len(text)}
			node.children = slices.Insert(node.children, i, stringChild{letter, added})
			s.bytes = append(append(s.bytes, text...), 0)
			return added.start
		}
		node = node.children[i].node
	}
}

// At is the string at an offset.
func (s *Strings) At(offset int) string {
	end := bytes.IndexByte(s.bytes[offset:], 0)
	return string(s.bytes[offset : offset+end])
}
