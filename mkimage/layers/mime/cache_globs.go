package mime

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// Kinds of globs, each of which has a table of its own.
const (
	literal = iota
	suffix  // * and a literal
	full
)

func kindOf(pattern string) int {
	rest, star := strings.CutPrefix(pattern, "*")
	switch {
	case strings.ContainsAny(rest, `\[?*`):
		return full
	case star:
		return suffix
	}
	return literal
}

func (g *glob) weightAndFlags() uint32 {
	n := uint32(g.weight) & 0xff
	if g.exact {
		n |= exactFlag
	}
	return n
}

// globs writes those of a kind.
func (d *database) writeGlobs(w *cacheWriter, kind int) {
	count := len(w.b)
	w.number(0)
	n := uint32(0)
	for _, pattern := range sorted(&d.globs) {
		if kindOf(pattern) != kind {
			continue
		}
		list, _ := d.globs.Get(pattern)
		for _, g := range list {
			w.text(pattern, g.of.name)
			w.number(g.weightAndFlags())
			n++
		}
	}
	binary.BigEndian.PutUint32(w.b[count:], n)
}

func (d *database) literalList(w *cacheWriter) { d.writeGlobs(w, literal) }
func (d *database) globList(w *cacheWriter)    { d.writeGlobs(w, full) }

// suffixNode is one of a tree by the last letters of names.
type suffixNode struct {
	children map[rune]*suffixNode
	globs    []suffixGlob
}

type suffixGlob struct {
	name   string // of the type
	weight int
	flags  uint32
}

// suffixList writes the tree of suffixes, level by level.
func (d *database) suffixList(w *cacheWriter) {
	root := &suffixNode{}
	for pattern, list := range d.globs.All() {
		if kindOf(pattern) != suffix {
			continue
		}
		n := root
		for _, letter := range slices.Backward([]rune(pattern[1:])) {
			below := n.children[letter]
			if below == nil {
				below = &suffixNode{}
				if n.children == nil {
					n.children = map[rune]*suffixNode{}
				}
				n.children[letter] = below
			}
			n = below
		}
		for _, g := range list {
			n.add(g)
		}
	}
	w.number(uint32(len(root.children)), uint32(len(w.b)+8))
	at := uint32(len(w.b) + 12*len(root.children)) // of the next level's nodes
	for level := []*suffixNode{root}; len(level) > 0; {
		var next []*suffixNode
		for _, n := range level {
			for _, g := range n.globs {
				w.number(0)
				w.text(g.name)
				w.number(uint32(g.weight)&0xff | g.flags)
			}
			for _, letter := range slices.Sorted(maps.Keys(n.children)) {
				below := n.children[letter]
				count := len(below.globs) + len(below.children)
				w.number(uint32(letter), uint32(count), at)
				at += uint32(12 * count)
				next = append(next, below)
			}
		}
		level = next
	}
}

// add adds a glob. Of a type that is there already the larger weight counts.
func (n *suffixNode) add(g *glob) {
	for i := range n.globs {
		if old := &n.globs[i]; old.name == g.of.name {
			old.weight = max(old.weight, g.weight)
			return
		}
	}
	n.globs = append(n.globs, suffixGlob{g.of.name, g.weight, g.weightAndFlags() & exactFlag})
}

// Sizes of records of magic, in bytes.
const (
	magicSize = 16
	matchSize = 32
)
