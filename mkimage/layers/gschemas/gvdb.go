package gschemas

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/layers/internal/glib"
)

// The format, GVDB, of GLib's subproject of that name. Numbers are little endian.
//
//	header 24 bytes: "GVariant", version, options, where the first table begins and ends
//	table  5<<27 (there is no Bloom filter), number of buckets, index of the first item of each
//	       bucket, 24 bytes an item: hash, index of the item above (all ones: none), where its name
//	       is, the name's bytes in 2 bytes, kind, zero, where its content begins and ends
//
// An item's name is behind that of the item above. Its content is behind its name: v, a variant,
// aligned to 8; L, the indexes of the items below; H, a table.
const (
	gvdbHeader = 24
	gvdbItem   = 24
	// gvdbMax bounds the file, in bytes.
	gvdbMax = 1 << 30
)

// item is of a table.
type item struct {
	index uint32
	value *value
	table *glib.HashTable[*item]
	below []string // keys of the items below it; they have no content of their own
	above *item
}

// encode makes the database.
func (c *compiler) encode() ([]byte, error) {
	var all glib.HashTable[*item]
	top := &item{}
	all.Set("", top)
	for id, s := range c.schemas.All() {
		all.Set(id, &item{table: s.table(), above: top})
		top.below = append(top.below, id)
	}
	b := append(make([]byte, 0, 1<<16), "GVariant"...)
	b = append(b, make([]byte, gvdbHeader-len(b))...)
	b, start, end, err := appendTable(b, &all)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b[16:], start)
	binary.LittleEndian.PutUint32(b[20:], end)
	return b, nil
}

// table makes the items of a schema.
func (s *schema) table() *glib.HashTable[*item] {
	t := &glib.HashTable[*item]{}
	top := &item{}
	t.Set("", top)
	localized := false
	for name, k := range s.keys.All() {
		v := k.value()
		t.Set(name, &item{value: &v, above: top})
		top.below = append(top.below, name)
		localized = localized || k.localized != 0
	}
	set := func(name, content string) {
		v := text("s", content)
		t.Set(name, &item{value: &v})
	}
	if s.path != "" {
		set(".path", s.path)
	}
	if s.extends != nil {
		set(".extends", s.parent)
	}
	if s.listOf != "" {
		set(".list-of", s.listOf)
	}
	if localized {
		set(".gettext-domain", *s.domain)
	}
	return t
}

// appendTable writes a table, and what its items have.
func appendTable(b []byte, t *glib.HashTable[*item]) (_ []byte, start, end uint32, err error) {
	le := binary.LittleEndian
	buckets := make([][]string, t.Len())
	for key := range t.All() { // the last one comes first
		n := glib.Hash(key) % uint32(len(buckets))
		buckets[n] = append(buckets[n], key)
	}
	index := uint32(0)
	b = zeros(b, 4)
	start = uint32(len(b))
	b = le.AppendUint32(b, 5<<27)
	b = le.AppendUint32(b, uint32(len(buckets)))
	var keys []string
	for _, bucket := range buckets {
		b = le.AppendUint32(b, index)
		slices.Reverse(bucket)
		for _, key := range bucket {
			i, _ := t.Get(key)
			i.index = index
			index++
		}
		keys = append(keys, bucket...)
	}
	first := len(b)
	b = append(b, make([]byte, gvdbItem*len(keys))...)
	end = uint32(len(b))
	for n, key := range keys {
		i, _ := t.Get(key)
		record := make([]byte, gvdbItem)
		le.PutUint32(record, glib.Hash(key))
		above := ^uint32(0)
		if i.above != nil {
			above = i.above.index
		}
		le.PutUint32(record[4:], above)
		le.PutUint32(record[8:], uint32(len(b)))
		le.PutUint16(record[12:], uint16(len(key)))
		b = append(b, key...)
		from, to := uint32(0), uint32(0)
		switch {
		case i.value != nil:
			record[14] = 'v'
			b = zeros(b, 8)
			from = uint32(len(b))
			b = append(b, variant(*i.value).data...)
			to = uint32(len(b))
		case i.table != nil:
			record[14] = 'H'
			if b, from, to, err = appendTable(b, i.table); err != nil {
				return nil, 0, 0, err
			}
		case len(i.below) > 0:
			record[14] = 'L'
			b = zeros(b, 4)
			from = uint32(len(b))
			slices.SortFunc(i.below, strings.Compare)
			for _, below := range i.below {
				child, _ := t.Get(below)
				b = le.AppendUint32(b, child.index)
			}
			to = uint32(len(b))
		}
		if len(b) > gvdbMax || len(key) > 1<<16-1 {
			return nil, 0, 0, fmt.Errorf("%w: more than %d MiB", ErrText, gvdbMax>>20)
		}
		le.PutUint32(record[16:], from)
		le.PutUint32(record[20:], to)
		copy(b[first+gvdbItem*n:], record)
	}
	return b, start, end, nil
}
