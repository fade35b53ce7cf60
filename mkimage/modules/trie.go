package modules

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// Words of an index of depmod: kmod's libkmod/libkmod-index.c describes the format. Numbers are big
// endian.
const (
	indexMagic   = 0xB007F457
	indexVersion = 0x00020001

	nodePrefix   = 0x80000000 // flags in the offset of a node
	nodeValues   = 0x40000000
	nodeChildren = 0x20000000

	indexMax = 1 << 28 // bytes; a node behind them has no offset
)

// trie is a node of an index: a tree by the letters of the keys.
type trie struct {
	prefix   string // letters that all keys below have
	children map[byte]*trie
	values   []value // by priority
}

type value struct {
	priority uint32
	text     string
}

func newTrie() *trie { return &trie{children: map[byte]*trie{}} }

// insert adds a value. Of values with the same key and priority the last comes first.
func (t *trie) insert(key string, priority uint32, text string) {
	common := 0
	for common < len(t.prefix) && common < len(key) && t.prefix[common] == key[common] {
		common++
	}
	if common < len(t.prefix) { // split the node
		below := *t
		below.prefix = t.prefix[common+1:]
		*t = trie{t.prefix[:common], map[byte]*trie{t.prefix[common]: &below}, nil}
	}
	if common == len(key) {
		i := sort.Search(len(t.values), func(i int) bool { return t.values[i].priority >= priority })
		t.values = slices.Insert(t.values, i, value{priority, text})
		return
	}
	letter, rest := key[common], key[common+1:]
	if t.children[letter] == nil {
		t.children[letter] = &trie{prefix: rest, children: map[byte]*trie{}}
	}
	t.children[letter].insert(rest, priority, text)
}

// encode gives the index, which may have so many bytes.
func (t *trie) encode(most int) ([]byte, error) {
	b := binary.BigEndian.AppendUint32(nil, indexMagic)
	b = binary.BigEndian.AppendUint32(b, indexVersion)
	b = append(b, 0, 0, 0, 0) // offset of the root
	b, root := t.append(b)
	if len(b) > most {
		return nil, fmt.Errorf("an index of %d bytes, and the format ends at %d", len(b), most)
	}
	binary.BigEndian.PutUint32(b[8:], root)
	return b, nil
}

// encodeDown gives the index as kmod 34 and later write it: each node before those below it. It may
// have so many bytes.
func (t *trie) encodeDown(most int) ([]byte, error) {
	const start = 12
	sizes := map[*trie]int{}
	if n := start + t.measure(sizes); n > most {
		return nil, fmt.Errorf("an index of %d bytes, and the format ends at %d", n, most)
	}
	b := binary.BigEndian.AppendUint32(nil, indexMagic)
	b = binary.BigEndian.AppendUint32(b, indexVersion)
	b = binary.BigEndian.AppendUint32(b, start|t.flags())
	return t.appendDown(b, sizes), nil
}

// measure notes how many bytes each node has with those below it.
func (t *trie) measure(sizes map[*trie]int) int {
	n := t.size()
	for _, child := range t.children {
		n += child.measure(sizes)
	}
	sizes[t] = n
	return n
}

// size is how many bytes the node has itself.
func (t *trie) size() int {
	n := 0
	if t.prefix != "" {
		n += len(t.prefix) + 1
	}
	if len(t.children) > 0 {
		first, last := t.span()
		n += 2 + 4*(int(last)-int(first)+1)
	}
	if len(t.values) > 0 {
		n += 4
		for _, v := range t.values {
			n += 4 + len(v.text) + 1
		}
	}
	return n
}

// flags are those in the offset of the node.
func (t *trie) flags() uint32 {
	flags := uint32(0)
	if t.prefix != "" {
		flags |= nodePrefix
	}
	if len(t.children) > 0 {
		flags |= nodeChildren
	}
	if len(t.values) > 0 {
		flags |= nodeValues
	}
	return flags
}

// span is the range of letters of a node with children.
func (t *trie) span() (first, last byte) {
	first = 255
	for letter := range t.children {
		first, last = min(first, letter), max(last, letter)
	}
	return first, last
}

// appendDown writes the node, then the nodes below.
func (t *trie) appendDown(b []byte, sizes map[*trie]int) []byte {
	var children []uint32
	first, last := t.span()
	if len(t.children) > 0 {
		children = make([]uint32, int(last)-int(first)+1)
		next := len(b) + t.size()
		for i := range children {
			if child := t.children[first+byte(i)]; child != nil {
				children[i] = uint32(next) | child.flags()
				next += sizes[child]
			}
		}
	}
	b = t.appendNode(b, first, last, children)
	for i := range children {
		if child := t.children[first+byte(i)]; child != nil {
			b = child.appendDown(b, sizes)
		}
	}
	return b
}

// appendNode writes the node alone, with the offsets of those below it.
func (t *trie) appendNode(b []byte, first, last byte, children []uint32) []byte {
	if t.prefix != "" {
		b = append(append(b, t.prefix...), 0)
	}
	if len(children) > 0 {
		b = append(b, first, last)
		for _, child := range children {
			b = binary.BigEndian.AppendUint32(b, child)
		}
	}
	if len(t.values) > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(t.values)))
		for _, v := range t.values {
			b = binary.BigEndian.AppendUint32(b, v.priority)
			b = append(append(b, v.text...), 0)
		}
	}
	return b
}

// append writes the nodes below, then the node, and gives its offset with its flags.
func (t *trie) append(b []byte) (_ []byte, offset uint32) {
	var children []uint32
	first, last := t.span()
	if len(t.children) > 0 {
		children = make([]uint32, int(last)-int(first)+1)
		for i := range children {
			if child := t.children[first+byte(i)]; child != nil {
				b, children[i] = child.append(b)
			}
		}
	}
	offset = uint32(len(b)) | t.flags()
	return t.appendNode(b, first, last, children), offset
}
