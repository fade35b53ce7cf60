package apk

import (
	"encoding/binary"
	"fmt"
)

// database is what the third generation calls ADB: values that refer to each other by offsets. A
// value has its type in its upper four bits.
type database []byte

type value uint32

// Types of values.
const (
	typeInt    = 0x1 // in the value itself
	typeInt32  = 0x2
	typeInt64  = 0x3
	typeBlob8  = 0x8 // after their length of so many bits
	typeBlob16 = 0x9
	typeBlob32 = 0xa
	typeArray  = 0xd // of values; the first is their number, itself included
	typeObject = 0xe // the same, with a field in each place; apk writes arrays so, too
)

const databaseHeader = 8 // bytes: compatible version 1, version 1, reserved 2, root 4

func parseDatabase(b []byte) (database, error) {
	if len(b) < databaseHeader || b[0] != 0 {
		return nil, fmt.Errorf("%w: a database of another version", ErrMalformed)
	}
	return b, nil
}

// root is the outermost value.
func (d database) root() value { return value(binary.LittleEndian.Uint32(d[4:])) }

// at gives n bytes at an offset.
func (d database) at(offset, n uint64) ([]byte, error) {
	if offset > uint64(len(d)) || n > uint64(len(d))-offset {
		return nil, fmt.Errorf("%w: a value leads out of the database", ErrMalformed)
	}
	return d[offset : offset+n], nil
}

func (v value) kind() uint32   { return uint32(v) >> 28 }
func (v value) offset() uint64 { return uint64(v & 0x0fffffff) }

var errType = fmt.Errorf("%w: a value of another type", ErrMalformed)

// number gives a number; a missing one is 0.
func (d database) number(v value) (uint64, error) {
	switch {
	case v == 0:
		return 0, nil
	case v.kind() == typeInt:
		return v.offset(), nil
	case v.kind() == typeInt32:
		b, err := d.at(v.offset(), 4)
		if err != nil {
			return 0, err
		}
		return uint64(binary.LittleEndian.Uint32(b)), nil
	case v.kind() == typeInt64:
		b, err := d.at(v.offset(), 8)
		if err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint64(b), nil
	}
	return 0, errType
}

// blob gives bytes; nil: they are missing.
func (d database) blob(v value) ([]byte, error) {
	if v == 0 {
		return nil, nil
	}
	var size uint64
	switch v.kind() {
	case typeBlob8:
		size = 1
	case typeBlob16:
		size = 2
	case typeBlob32:
		size = 4
	default:
		return nil, errType
	}
	b, err := d.at(v.offset(), size)
	if err != nil {
		return nil, err
	}
	var length [8]byte
	copy(length[:], b)
	return d.at(v.offset()+size, binary.LittleEndian.Uint64(length[:]))
}

// list gives the values of an array or the fields of an object, of which the first is in place 1.
func (d database) list(v value) (list, error) {
	if v == 0 {
		return list{d: d}, nil
	}
	if v.kind() != typeArray && v.kind() != typeObject {
		return list{}, errType
	}
	b, err := d.at(v.offset(), 4)
	if err != nil {
		return list{}, err
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n == 0 {
		return list{}, fmt.Errorf("%w: an empty list", ErrMalformed)
	}
	b, err = d.at(v.offset(), 4*n)
	return list{d, b}, err
}

// list is an array or an object.
type list struct {
	d database
	b []byte
}

// n is the number of values.
func (l list) n() int { return max(len(l.b)/4-1, 0) }

// value gives the value in a place, from 1; 0: it is missing.
func (l list) value(i int) value {
	if i < 1 || i > l.n() {
		return 0
	}
	return value(binary.LittleEndian.Uint32(l.b[4*i:]))
}

func (l list) blob(i int) ([]byte, error)   { return l.d.blob(l.value(i)) }
func (l list) number(i int) (uint64, error) { return l.d.number(l.value(i)) }
func (l list) list(i int) (list, error)     { return l.d.list(l.value(i)) }

// text gives a blob as a string.
func (l list) text(i int, to *string) error {
	b, err := l.blob(i)
	*to = string(b)
	return err
}
