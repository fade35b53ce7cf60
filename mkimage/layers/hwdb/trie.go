package hwdb

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/layers/internal/systemd"
)

// builder collects properties by the strings that they match.
type builder struct {
	strings *systemd.Strings
	root    *node
	values  int
}

// node is one of a tree by the letters of the matches.
type node struct {
	prefix   int // offset of the letters that all matches below have
	children []child
	values   []value // by their keys
}

type child struct {
	letter byte
	node   *node
}

type value struct {
	key, value, file int // offsets
	line             uint32
	priority         uint16 // number of the file
}

// insert adds a property. One that is there already is replaced.
func (b *builder) insert(match, key, val, file string, priority uint16, line uint32) error {
	if b.values++; b.values > valuesMax || len(b.strings.Bytes()) > stringsMax {
		return fmt.Errorf("%w: more than %d properties, or %d bytes of text", ErrTooLarge, valuesMax,
			stringsMax)
	}
	n := b.root
	for {
		prefix := b.strings.At(n.prefix)
		common := 0
		for common < len(prefix) && common < len(match) && prefix[common] == match[common] {
			common++
		}
		if common < len(prefix) { // split the node
			below := *n
			below.prefix += common + 1
			*n = node{prefix: b.strings.Add(prefix[:common]), children: []child{{prefix[common], &below}}}
		}
		if common == len(match) {
			break
		}
		letter := match[common]
		match = match[common+1:]
		i, ok := slices.BinarySearchFunc(n.children, letter, func(c child, l byte) int {
			return int(c.letter) - int(l)
		})
		if !ok {
			added := &node{prefix: b.strings.Add(match)}
			n.children = slices.Insert(n.children, i, child{letter, added})
			n = added
			break
		}
		n = n.children[i].node
	}
	v := value{b.strings.Add(key), b.strings.Add(val), b.strings.Add(file), line, priority}
	i, ok := slices.BinarySearchFunc(n.values, key, func(v value, key string) int {
		return strings.Compare(b.strings.At(v.key), key)
	})
	if ok {
		v.key = n.values[i].key
		n.values[i] = v
		return nil
	}
	n.values = slices.Insert(n.values, i, v)
	return nil
}

// The format, from systemd's src/libsystemd/sd-hwdb/hwdb-internal.h. Numbers are little endian.
//
//	header 80 bytes: signature, version of systemd, sizes of the file and of the records below,
//	       offset of the root, bytes of all nodes and of all strings
//	nodes  each behind those below it: 24 bytes: offset of the prefix, number of children in one
//	       byte, number of values; then 16 bytes a child: letter, offset; then 32 bytes a value:
//	       offsets of key, value and file, line, number of the file
//	strings
const (
	signature  = "KSLPHHRH"
	headerSize = 80
	nodeSize   = 24
	childSize  = 16
	valueSize  = 32
)

func (b *builder) encode(version int) []byte {
	le := binary.LittleEndian
	nodes := b.root.size()
	text := b.strings.Bytes()
	out := make([]byte, headerSize, headerSize+nodes+len(text))
	out, root := b.root.append(out, headerSize+nodes)
	out = append(out, text...)
	copy(out, signature)
	for i, n := range []int{version, len(out), headerSize, nodeSize, childSize, valueSize, root, nodes, len(text)} {
		le.PutUint64(out[8+8*i:], uint64(n))
	}
	return out
}

// size is how many bytes the node has with those below it.
func (n *node) size() int {
	size := nodeSize + childSize*len(n.children) + valueSize*len(n.values)
	for _, c := range n.children {
		size += c.node.size()
	}
	return size
}

// append writes the nodes below, then the node, and gives its offset. The strings' is text.
func (n *node) append(b []byte, text int) (_ []byte, offset int) {
	le := binary.LittleEndian
	children := make([]int, len(n.children))
	for i, c := range n.children {
		b, children[i] = c.node.append(b, text)
	}
	offset = len(b)
	b = le.AppendUint64(b, uint64(text+n.prefix))
	b = append(b, byte(len(n.children)), 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(len(n.values)))
	for i, c := range n.children {
		b = append(b, c.letter, 0, 0, 0, 0, 0, 0, 0)
		b = le.AppendUint64(b, uint64(children[i]))
	}
	for _, v := range n.values {
		b = le.AppendUint64(b, uint64(text+v.key))
		b = le.AppendUint64(b, uint64(text+v.value))
		b = le.AppendUint64(b, uint64(text+v.file))
		b = le.AppendUint32(b, v.line)
		b = le.AppendUint16(b, v.priority)
		b = append(b, 0, 0)
	}
	return b, offset
}
