package mkimage

import (
	"encoding/binary"
	"iter"
	"sort"

	"deltaup/mkimage/tree"
)

// pathList is a list of paths of which each has only what differs from the one before: how many
// bytes both begin with, the number of the other bytes, and these. Both numbers are varints. Every
// pathsEvery-th path has all of its bytes.
type pathList struct {
	text  []byte
	whole []uint32 // where in text each path with all of its bytes begins
	count int
	last  []byte
}

// pathsEvery is how many paths are read to find one: more take less memory and more time.
const pathsEvery = 16

func (l *pathList) append(path string) {
	shared := 0
	if l.count%pathsEvery == 0 {
		l.whole = append(l.whole, uint32(len(l.text)))
	} else {
		for shared < min(len(l.last), len(path)) && l.last[shared] == path[shared] {
			shared++
		}
	}
	l.text = binary.AppendUvarint(l.text, uint64(shared))
	l.text = binary.AppendUvarint(l.text, uint64(len(path)-shared))
	l.text = append(l.text, path[shared:]...)
	l.last = append(l.last[:shared], path[shared:]...)
	l.count++
}

// next reads the path at an offset of text behind the one before it, in place of that.
func (l *pathList) next(offset int, before []byte) (path []byte, end int) {
	shared, n := binary.Uvarint(l.text[offset:])
	offset += n
	rest, n := binary.Uvarint(l.text[offset:])
	offset += n
	end = offset + int(rest)
	return append(before[:shared], l.text[offset:end]...), end
}

// at gives path i, in the memory of buffer where it fits.
func (l *pathList) at(i int, buffer []byte) []byte {
	offset := int(l.whole[i/pathsEvery])
	path := buffer[:0]
	for range i%pathsEvery + 1 {
		path, offset = l.next(offset, path)
	}
	return path
}

// all gives the paths with their indexes; each is valid until the next one.
func (l *pathList) all() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for w := l.walk(); w.next(); {
			if !yield(w.index, w.path) {
				return
			}
		}
	}
}

// pathWalk is a walk over a list of paths. It is before the first one until next was called.
type pathWalk struct {
	list  *pathList
	index int
	path  []byte // valid until the next one
	end   int    // of it, in list.text
}

func (l *pathList) walk() *pathWalk { return &pathWalk{list: l, index: -1} }

// walkFrom is a walk that is at path i.
func (l *pathList) walkFrom(i int) *pathWalk {
	block := i / pathsEvery
	w := &pathWalk{list: l, index: block*pathsEvery - 1, end: int(l.whole[block])}
	for w.index < i {
		w.next()
	}
	return w
}

// next goes to the next path, if there is one.
func (w *pathWalk) next() bool {
	if w.index+1 >= w.list.count {
		return false
	}
	w.index++
	w.path, w.end = w.list.next(w.end, w.path)
	return true
}

// find gives the index of a path, when all are in path order.
func (l *pathList) find(path string) (i int, ok bool) {
	var buffer []byte
	block := sort.Search(len(l.whole), func(n int) bool {
		at, _ := l.next(int(l.whole[n]), buffer[:0])
		buffer = at
		return tree.Compare(at, path) > 0
	}) - 1
	if block < 0 {
		return 0, false
	}
	offset, at := int(l.whole[block]), buffer[:0]
	for i = block * pathsEvery; i < min((block+1)*pathsEvery, l.count); i++ {
		if at, offset = l.next(offset, at); string(at) == path {
			return i, true
		}
	}
	return 0, false
}
