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

// append writes the nodes below, then the node, and gives its offset with its flags.
func (t *trie) append(b []byte) (_ []byte, offset uint32) {
	var first, last byte
	var children []uint32
	if len(t.children) > 0 {
		first, last = 255, 0
		for letter := range t.children {
			first, last = min(first, letter), max(last, letter)
		}
		children = make([]uint32, int(last)-int(first)+1)
		for i := range children {
			if child := t.children[first+byte(i)]; child != nil {
				b, children[i] = child.append(b)
			}
		}
	}
	offset = uint32(len(b))
	if t.prefix != "" {
		b = append(append(b, t.prefix...), 0)
		offset |= nodePrefix
	}
	if len(children) > 0 {
		b = append(b, first, last)
		for _, child := range children {
			b = binary.BigEndian.AppendUint32(b, child)
		}
		offset |= nodeChildren
	}
	if len(t.values) > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(t.values)))
		for _, v := range t.values {
			b = binary.BigEndian.AppendUint32(b, v.priority)
			b = append(append(b, v.text...), 0)
		}
		offset |= nodeValues
	}
	return b, offset
}
