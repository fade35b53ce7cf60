package chunkstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Format of an index; doc/index.md has it in full. Numbers are unsigned LEB128 varints
// (encoding/binary), the version is a little-endian uint32.
const (
	indexMagic   = "DUINDX\r\n"
	indexVersion = 1

	indexNameMax = 255 // bytes of an artifact's name
)

// MarshalBinary encodes x as doc/index.md says, and reads the result back before it returns. It
// fails when x is not as [Index] says; the error then wraps [ErrCorrupt].
func (x *Index) MarshalBinary() ([]byte, error) {
	b, err := x.encode()
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	if _, err := decodeIndex(b); err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	return b, nil
}

// ParseIndex reads what MarshalBinary writes and nothing else. It takes memory in proportion to
// len(b). Its errors wrap [ErrCorrupt] or [ErrVersion].
func ParseIndex(b []byte) (*Index, error) {
	x, err := decodeIndex(b)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	again, err := x.encode()
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("read index: %w: not in the one form that it is written in",
			ErrCorrupt)
	}
	return x, nil
}

// indexEncoder holds the bytes so far and what the encoding of a location depends on.
type indexEncoder struct {
	b    []byte
	pack map[ID]int // number of each pack
	last Location
}

func (x *Index) encode() ([]byte, error) {
	e := indexEncoder{
		b:    binary.LittleEndian.AppendUint32([]byte(indexMagic), indexVersion),
		pack: map[ID]int{},
	}
	e.number(int64(len(x.Packs)))
	for i, p := range x.Packs {
		e.b = append(e.b, p.ID[:]...)
		e.number(p.Size)
		e.pack[p.ID] = i
	}
	used := 0
	if err := e.locations(x.Image, &used); err != nil {
		return nil, err
	}
	e.number(int64(len(x.Raw)))
	for i := range x.Raw {
		l := &x.Raw[i]
		e.number(int64(len(l.Name)))
		e.b = append(e.b, l.Name...)
		e.content(&l.Content)
		if err := e.locations(l.Locations, &used); err != nil {
			return nil, err
		}
	}
	if used != len(x.Packs) {
		return nil, fmt.Errorf("%w: %d of %d packs are used", ErrCorrupt, used, len(x.Packs))
	}
	return e.b, nil
}

func (e *indexEncoder) number(v int64) { e.b = binary.AppendUvarint(e.b, uint64(v)) }

func (e *indexEncoder) content(c *Content) {
	e.b = append(e.b, c.ID[:]...)
	e.number(c.Size)
	e.number(int64(len(c.Chunks)))
	for _, c := range c.Chunks {
		if c.IsHole() {
			e.number(c.Size<<1 | 1)
			continue
		}
		e.number(c.Size << 1)
		e.b = append(e.b, c.ID[:]...)
	}
}

// locations writes a list. used counts the packs that locations have named so far.
func (e *indexEncoder) locations(list []Location, used *int) error {
	e.number(int64(len(list)))
	for _, l := range list {
		if l.Pack == e.last.Pack && l.Offset == e.last.Offset+e.last.Length {
			e.number(l.Length << 1)
			e.last = l
			continue
		}
		n, ok := e.pack[l.Pack]
		if !ok || n > *used {
			return fmt.Errorf("%w: the packs are not in order of first use", ErrCorrupt)
		}
		*used = max(*used, n+1)
		e.number(l.Length<<1 | 1)
		e.number(int64(n))
		e.number(l.Offset)
		e.last = l
	}
	return nil
}

// indexDecoder reads fields. After its first error it gives zeros.
type indexDecoder struct {
	b     []byte
	packs []PackRef
	last  Location
	err   error
}

func decodeIndex(b []byte) (*Index, error) {
	if len(b) < len(indexMagic)+4 || string(b[:len(indexMagic)]) != indexMagic {
		return nil, fmt.Errorf("%w: it does not begin like an index", ErrCorrupt)
	}
	b = b[len(indexMagic):]
	if v := binary.LittleEndian.Uint32(b); v != indexVersion {
		return nil, fmt.Errorf("%w: %d, this program knows %d", ErrVersion, v, indexVersion)
	}
	d := &indexDecoder{b: b[4:]}
	for n := d.count(32 + 1); n > 0 && d.err == nil; n-- {
		d.packs = append(d.packs, PackRef{ID: d.id(), Size: d.number()})
	}
	x := &Index{Packs: d.packs, Image: d.locations()}
	for n := d.count(1 + 1 + 32 + 1 + 1 + 1); n > 0 && d.err == nil; n-- {
		x.Raw = append(
			x.Raw,
			RawList{
				Name:      string(d.bytes(d.count(1))),
				Content:   d.content(),
				Locations: d.locations(),
			},
		)
	}
	if len(d.b) > 0 {
		d.fail("bytes after its end")
	}
	if d.err != nil {
		return nil, d.err
	}
	return x, x.validate()
}

func (d *indexDecoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	d.b = nil
}

func (d *indexDecoder) number() int64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > math.MaxInt64 {
		d.fail("a number is cut off or too large")
		return 0
	}
	d.b = d.b[n:]
	return int64(v)
}

// count reads how many items follow, each of at least size bytes.
func (d *indexDecoder) count(size int) int {
	n := d.number()
	if n > int64(len(d.b)/size) {
		d.fail("a list is longer than the file")
		return 0
	}
	return int(n)
}

func (d *indexDecoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail("it ends early")
		return make([]byte, n)
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *indexDecoder) id() ID { return ID(d.bytes(len(ID{}))) }

func (d *indexDecoder) content() Content {
	c := Content{ID: d.id(), Size: d.number()}
	for n := d.count(1); n > 0 && d.err == nil; n-- {
		v := d.number()
		chunk := Chunk{Size: v >> 1}
		if v&1 == 0 {
			if chunk.ID = d.id(); chunk.IsHole() {
				d.fail("a chunk's id is zero")
			}
		}
		c.Chunks = append(c.Chunks, chunk)
	}
	return c
}

func (d *indexDecoder) locations() []Location {
	var list []Location
	for n := d.count(1); n > 0 && d.err == nil; n-- {
		v := d.number()
		l := Location{Pack: d.last.Pack, Offset: d.last.Offset + d.last.Length, Length: v >> 1}
		if v&1 == 1 {
			number := d.number()
			if number >= int64(len(d.packs)) {
				d.fail("a location names a pack that is not listed")
				break
			}
			l.Pack, l.Offset = d.packs[number].ID, d.number()
		}
		list = append(list, l)
		d.last = l
	}
	return list
}
