package mime

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/layers/internal/glib"
)

// The cache, which programs map into memory: numbers are big endian, with 4 bytes but those of the
// version; strings end with a zero and are padded to 4 bytes. The version, 1.2, and the places of
// the ten lists are its header. The specification of freedesktop.org describes the lists.
const headerSize = 44

// cacheMax bounds the cache, so that its places fit into 31 bits.
const cacheMax = 1 << 30

// exactFlag of a glob's weight says that upper and lower case differ.
const exactFlag = 0x100

// cacheWriter writes the cache.
type cacheWriter struct {
	b     []byte
	texts glib.HashTable[bool] // that the lists refer to
	place map[string]uint32    // of each
}

// number writes numbers.
func (w *cacheWriter) number(numbers ...uint32) {
	for _, n := range numbers {
		w.b = binary.BigEndian.AppendUint32(w.b, n)
	}
}

// text writes where texts are.
func (w *cacheWriter) text(texts ...string) {
	for _, t := range texts {
		w.number(w.place[t])
	}
}

// data writes bytes, padded.
func (w *cacheWriter) data(b []byte) {
	w.b = append(w.b, b...)
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
}

// add adds texts that lists refer to.
func (w *cacheWriter) add(texts ...string) {
	for _, t := range texts {
		w.texts.Set(t, true)
	}
}

func (d *database) cache() ([]byte, error) {
	w := &cacheWriter{b: make([]byte, headerSize), place: map[string]uint32{}}
	d.collect(w)
	for t := range w.texts.All() {
		w.place[t] = uint32(len(w.b))
		w.data(append([]byte(t), 0))
		if len(w.b) > cacheMax/2 {
			return nil, fmt.Errorf("%w: more than %d MiB of text", ErrText, cacheMax/2>>20)
		}
	}
	header := []uint32{1<<16 | 2}
	for _, list := range []func(*cacheWriter){
		d.aliasList, d.parentList, d.literalList, d.suffixList, d.globList, d.magicList,
		d.namespaceList,
		func(w *cacheWriter) { w.icons(&d.icons) },
		func(w *cacheWriter) { w.icons(&d.generic) },
		d.typeList,
	} {
		header = append(header, uint32(len(w.b)))
		list(w)
		if len(w.b) > cacheMax {
			return nil, fmt.Errorf("%w: a cache of more than %d MiB", ErrText, cacheMax>>20)
		}
	}
	for i, n := range header {
		binary.BigEndian.PutUint32(w.b[4*i:], n)
	}
	return w.b, nil
}

// collect adds all texts, in the program's order, on which their places depend.
func (d *database) collect(w *cacheWriter) {
	for alias, t := range d.aliases.All() {
		w.add(alias, t.name)
	}
	for name, above := range d.subclasses.All() {
		w.add(name)
		w.add(above...)
	}
	for pattern, list := range d.globs.All() {
		if kindOf(pattern) != suffix {
			w.add(pattern)
		}
		for _, g := range list {
			w.add(g.of.name)
		}
	}
	for _, m := range d.magic {
		w.add(m.of.name)
	}
	for key, t := range d.namespaces.All() {
		uri, local, _ := strings.Cut(key, " ")
		w.add(t.name, uri, local)
	}
	for name, icon := range d.generic.All() {
		w.add(name, icon)
	}
	for name, icon := range d.icons.All() {
		w.add(name, icon)
	}
}

// sorted gives the keys of a table by their bytes.
func sorted[V any](t *glib.HashTable[V]) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for key := range t.All() {
			if !yield(key) {
				return
			}
		}
	})
}

func (d *database) aliasList(w *cacheWriter) {
	w.number(uint32(d.aliases.Len()))
	for _, alias := range sorted(&d.aliases) {
		t, _ := d.aliases.Get(alias)
		w.text(alias, t.name)
	}
}

func (d *database) parentList(w *cacheWriter) {
	names := sorted(&d.subclasses)
	w.number(uint32(len(names)))
	at := uint32(len(w.b) + 8*len(names))
	for _, name := range names {
		above, _ := d.subclasses.Get(name)
		w.text(name)
		w.number(at)
		at += uint32(4 + 4*len(above))
	}
	for _, name := range names {
		above, _ := d.subclasses.Get(name)
		w.number(uint32(len(above)))
		w.text(above...)
	}
}

func (d *database) magicList(w *cacheWriter) {
	var all []*match // those of one level stand together, behind them those below
	place := map[*match]uint32{}
	var collect func(list []*match)
	collect = func(list []*match) {
		for _, m := range list {
			place[m] = uint32(len(all))
			all = append(all, m)
		}
		for _, m := range list {
			collect(m.matches)
		}
	}
	for _, m := range d.magic {
		collect(m.matches)
	}
	extent := int64(0) // how much of a file is looked at
	for _, m := range all {
		extent = max(extent, int64(len(m.value))+m.start+int64(m.length))
	}
	w.number(uint32(len(d.magic)), uint32(extent), uint32(len(w.b)+12))
	first := uint32(len(w.b) + magicSize*len(d.magic))
	for _, m := range d.magic {
		w.number(uint32(m.priority))
		w.text(m.of.name)
		w.number(uint32(len(m.matches)), first+matchSize*place[m.matches[0]])
	}
	values := first + uint32(matchSize*len(all))
	take := func(b []byte) (at uint32) {
		at = values
		values = (values + uint32(len(b)) + 3) &^ 3
		return at
	}
	for _, m := range all {
		w.number(uint32(m.start), uint32(m.length), m.word, uint32(len(m.value)), take(m.value))
		mask, below := uint32(0), uint32(0)
		if m.mask != nil {
			mask = take(m.mask)
		}
		if len(m.matches) > 0 {
			below = first + matchSize*place[m.matches[0]]
		}
		w.number(mask, uint32(len(m.matches)), below)
	}
	for _, m := range all {
		w.data(m.value)
		w.data(m.mask)
	}
}

func (d *database) namespaceList(w *cacheWriter) {
	w.number(uint32(d.namespaces.Len()))
	for _, key := range sorted(&d.namespaces) {
		t, _ := d.namespaces.Get(key)
		uri, local, _ := strings.Cut(key, " ")
		w.text(uri, local, t.name)
	}
}

func (w *cacheWriter) icons(t *glib.HashTable[string]) {
	w.number(uint32(t.Len()))
	for _, name := range sorted(t) {
		icon, _ := t.Get(name)
		w.text(name, icon)
	}
}

// typeList writes the number of types, and zeros: the program does not find their texts.
func (d *database) typeList(w *cacheWriter) {
	w.number(uint32(d.types.Len()))
	w.b = append(w.b, make([]byte, 4*d.types.Len())...)
}
