package squashfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"deltaup/mkimage/tree"
)

// xattrInlineMax is the size, in bytes, from which on a repeated value becomes a reference. Smaller
// values compress better than a reference, and cost no second lookup.
const xattrInlineMax = 128

// xattrWriter collects the distinct sets of extended attributes.
type xattrWriter struct {
	pairs  *metaWriter
	bytes  bytes.Buffer                   // the finished blocks of pairs
	ids    []xattrID                      // the records of the sets
	sets   map[[sha256.Size]byte]uint32   // index of each set, by its hash
	values map[[sha256.Size]byte]inodeRef // references to large values, by hash
	record []byte                         // scratch
}

func (x *xattrWriter) init(c Compressor) {
	x.pairs = newMetaWriter(&x.bytes, c)
	x.sets = map[[sha256.Size]byte]uint32{}
	x.values = map[[sha256.Size]byte]inodeRef{}
}

// add returns the index of a set, which it writes if it is new; noXattr for the empty set.
func (x *xattrWriter) add(set []tree.Xattr) (uint32, error) {
	if len(set) == 0 {
		return noXattr, nil
	}
	if err := checkXattrs(set); err != nil {
		return 0, err
	}
	key := xattrSetKey(set)
	if i, ok := x.sets[key]; ok {
		return i, nil
	}
	id := xattrID{Ref: uint64(x.pairs.ref()), Count: uint32(len(set))}
	for i := range set {
		n, err := x.writePair(&set[i])
		if err != nil {
			return 0, err
		}
		id.Size += uint32(n)
	}
	i := uint32(len(x.ids))
	x.ids = append(x.ids, id)
	x.sets[key] = i
	return i, nil
}

// checkXattrs refuses sets that the format cannot hold or that Linux refuses.
func checkXattrs(set []tree.Xattr) error {
	total := 0
	for i, a := range set {
		total += len(a.Name) + len(a.Value)
		_, _, ok := splitXattr(a.Name)
		switch {
		case !ok:
			return fmt.Errorf(
				"extended attribute %.40q: squashfs has only user., trusted. and security. ones",
				a.Name)
		case len(a.Name) > XattrNameMax:
			return fmt.Errorf("extended attribute %.40q…: name of %d bytes, at most %d", a.Name,
				len(a.Name), XattrNameMax)
		case len(a.Value) > XattrValueMax:
			return fmt.Errorf("extended attribute %q: value of %d bytes, at most %d", a.Name,
				len(a.Value), XattrValueMax)
		case i > 0 && set[i-1].Name >= a.Name:
			return fmt.Errorf("extended attributes out of order: %q before %q", set[i-1].Name,
				a.Name)
		}
	}
	if total > xattrSetMax { // this package's reader refuses it
		return fmt.Errorf("%d bytes of extended attributes, at most %d", total, xattrSetMax)
	}
	return nil
}

// xattrSetKey is a hash of a set.
func xattrSetKey(set []tree.Xattr) (key [sha256.Size]byte) {
	h := sha256.New()
	var length [8]byte
	for _, a := range set {
		binary.LittleEndian.PutUint32(length[:4], uint32(len(a.Name)))
		binary.LittleEndian.PutUint32(length[4:], uint32(len(a.Value)))
		h.Write(length[:])
		h.Write([]byte(a.Name))
		h.Write(a.Value)
	}
	h.Sum(key[:0])
	return key
}

// writePair writes one attribute and returns the number of its plain bytes.
func (x *xattrWriter) writePair(a *tree.Xattr) (int, error) {
	prefix, rest, _ := splitXattr(a.Name)
	key := xattrKey{Type: prefix, NameSize: uint16(len(rest))}
	value := a.Value
	ref, seen := x.find(value)
	if seen {
		key.Type |= xattrOutOfLine
		value = binary.LittleEndian.AppendUint64(nil, uint64(ref))
	}
	b := append(marshal(x.record[:0], &key), rest...)
	if err := x.pairs.write(b); err != nil {
		return 0, err
	}
	n := len(b)
	if !seen {
		x.remember(value)
	}
	b = append(marshal(b[:0], &xattrValue{Size: uint32(len(value))}), value...)
	x.record = b
	return n + len(b), x.pairs.write(b)
}

// find gives the reference to a large value that was written before.
func (x *xattrWriter) find(value []byte) (ref inodeRef, seen bool) {
	if len(value) < xattrInlineMax {
		return 0, false
	}
	ref, seen = x.values[sha256.Sum256(value)]
	return ref, seen
}

// remember notes the place of a value that is about to be written.
func (x *xattrWriter) remember(value []byte) {
	if len(value) >= xattrInlineMax {
		x.values[sha256.Sum256(value)] = x.pairs.ref()
	}
}

// writeTo writes the pairs and the xattr id table. It returns the position of the xattrTable
// record, or noTable when there are no sets.
func (x *xattrWriter) writeTo(t *tail) (table uint64, err error) {
	if len(x.ids) == 0 {
		return noTable, nil
	}
	record := xattrTable{Pairs: t.pos(), Count: uint32(len(x.ids))}
	if err := x.pairs.flush(); err != nil {
		return 0, err
	}
	if _, err := x.bytes.WriteTo(t); err != nil {
		return 0, err
	}
	locations, err := t.writeRecords(len(x.ids),
		func(b []byte, i int) []byte { return marshal(b, &x.ids[i]) })
	if err != nil {
		return 0, err
	}
	table = t.pos()
	_, err = t.Write(append(marshal(nil, &record), locations...))
	return table, err
}
