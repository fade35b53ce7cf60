package fontcache

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// The format, from src/fcint.h and src/fccache.c, as 64-bit machines with little-endian numbers
// write it. Each record begins at a multiple of 8. A place counts from the record that has it; with
// its lowest bit set where fontconfig would have a pointer.
//
//	header   64 bytes: magic, version, size of the file; places of the folder's name, of the list
//	         of its subfolders and of the fonts, number of subfolders, time of the folder: seconds
//	         and nanoseconds
//	folder   its name; the places of its subfolders' names; those names
//	fonts    16 bytes: their number, twice, the place of the list of their patterns; the list
//	pattern  24 bytes: number of its properties, twice, their place, -1; then the properties: 16
//	         bytes: number, place of the first value
//	value    32 bytes: place of the next one, type, what it is or the place of that
//	charset  24 bytes: -1, number of pages, places of the pages' places and of their numbers; those;
//	         pages of 32 bytes. What was there already is there once
//	langset  0, number of words, the words
//	range    two numbers
const (
	magic       = 0xfc02fc04
	headerSize  = 64
	fontsSize   = 16
	patternSize = 24
	elementSize = 16
	valueSize   = 32
	charsetSize = 24
)

// types of values
const (
	typeInteger = iota + 1
	typeDouble
	typeString
	typeBool
	_ // matrices, which no font has
	typeCharSet
	_ // faces of FreeType
	typeLangSet
	typeRange
)

// encoder writes a cache.
type encoder struct {
	b        []byte
	leaves   map[leaf]int              // places of pages
	charsets map[[sha256.Size]byte]int // places of sets, by their pages
	origins  map[*charSet]int
}

// reserve gives the place of a new record.
func (e *encoder) reserve(size int) (at int) {
	at = len(e.b)
	e.b = append(e.b, make([]byte, (size+7)&^7)...)
	return at
}

func (e *encoder) put32(at int, v uint32) { binary.LittleEndian.PutUint32(e.b[at:], v) }
func (e *encoder) put64(at int, v uint64) { binary.LittleEndian.PutUint64(e.b[at:], v) }

// link puts a place, as it counts from the record at base.
func (e *encoder) link(at, base, place int) { e.put64(at, uint64(place-base)) }

// pointer puts a place where fontconfig would have a pointer.
func (e *encoder) pointer(at, base, place int) { e.put64(at, uint64(place-base)|1) }

func (e *encoder) text(s string) (at int) {
	at = e.reserve(len(s) + 1)
	copy(e.b[at:], s)
	return at
}

// encode makes the cache of a folder.
func encode(version uint32, dir string, modified uint32, subfolders []string, fonts []pattern) []byte {
	e := &encoder{leaves: map[leaf]int{}, charsets: map[[sha256.Size]byte]int{}, origins: map[*charSet]int{}}
	e.reserve(headerSize)
	name := e.text(dir)
	list := e.reserve(8 * len(subfolders))
	for i, s := range subfolders {
		e.link(list+8*i, list, e.text(s))
	}
	set := e.reserve(fontsSize)
	patterns := e.reserve(8 * len(fonts))
	e.put32(set, uint32(len(fonts)))
	e.put32(set+4, uint32(len(fonts)))
	e.pointer(set+8, set, patterns)
	for i, p := range fonts {
		e.pointer(patterns+8*i, set, e.pattern(p))
	}
	e.put32(0, magic)
	e.put32(4, version)
	e.put64(8, uint64(len(e.b)))
	e.put64(16, uint64(name))
	e.put64(24, uint64(list))
	e.put32(32, uint32(len(subfolders)))
	e.put64(40, uint64(set))
	e.put32(48, modified)
	return e.b
}

func (e *encoder) pattern(p pattern) (at int) {
	at = e.reserve(patternSize)
	objects := slices.Sorted(maps.Keys(p))
	elements := e.reserve(elementSize * len(objects))
	e.put32(at, uint32(len(objects)))
	e.put32(at+4, uint32(len(objects)))
	e.link(at+8, at, elements)
	e.put32(at+16, math.MaxUint32)
	for i, o := range objects {
		element := elements + elementSize*i
		e.put32(element, uint32(o))
		last, base := element+8, element
		for _, v := range p[o] {
			next := e.value(v)
			e.pointer(last, base, next)
			last, base = next, next
		}
	}
	return at
}

func (e *encoder) value(v value) (at int) {
	at = e.reserve(valueSize)
	kind, content := at+8, at+16
	switch v := v.(type) {
	case int32:
		e.put32(kind, typeInteger)
		e.put32(content, uint32(v))
	case float64:
		e.put32(kind, typeDouble)
		e.put64(content, math.Float64bits(v))
	case string:
		e.put32(kind, typeString)
		e.pointer(content, kind, e.text(v))
	case bool:
		e.put32(kind, typeBool)
		if v {
			e.put32(content, 1)
		}
	case *charSet:
		e.put32(kind, typeCharSet)
		e.pointer(content, kind, e.charset(v))
	case langSet:
		e.put32(kind, typeLangSet)
		place := e.reserve(12 + 4*len(v))
		e.pointer(content, kind, place)
		e.put32(place+8, uint32(len(v)))
		for i, bits := range v {
			e.put32(place+12+4*i, bits)
		}
	case sizeRange:
		e.put32(kind, typeRange)
		place := e.reserve(16)
		e.pointer(content, kind, place)
		e.put64(place, math.Float64bits(v.begin))
		e.put64(place+8, math.Float64bits(v.end))
	}
	return at
}

// charset writes a set, unless it is there.
func (e *encoder) charset(c *charSet) (at int) {
	if at, ok := e.origins[c]; ok {
		return at
	}
	var pages []byte
	for i, l := range c.leaves {
		pages = binary.LittleEndian.AppendUint16(pages, c.numbers[i])
		for _, bits := range l {
			pages = binary.LittleEndian.AppendUint32(pages, bits)
		}
	}
	key := sha256.Sum256(pages)
	if at, ok := e.charsets[key]; ok {
		e.origins[c] = at
		return at
	}
	at = e.reserve(charsetSize)
	e.charsets[key], e.origins[c] = at, at
	e.put32(at, math.MaxUint32)
	e.put32(at+4, uint32(len(c.leaves)))
	if len(c.leaves) == 0 {
		return at
	}
	places := e.reserve(8 * len(c.leaves))
	numbers := e.reserve(2 * len(c.leaves))
	e.link(at+8, at, places)
	e.link(at+16, at, numbers)
	for i, l := range c.leaves {
		place, ok := e.leaves[l]
		if !ok {
			place = e.reserve(len(l) * 4)
			for k, bits := range l {
				e.put32(place+4*k, bits)
			}
			e.leaves[l] = place
		}
		e.link(places+8*i, places, place)
		binary.LittleEndian.PutUint16(e.b[numbers+2*i:], c.numbers[i])
	}
	return at
}
