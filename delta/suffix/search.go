package suffix

import "fmt"

// Search makes patches from one old content to one new content. It keeps what it looks up for one
// patch for the next, which takes eight times the new content's size in memory. It is not safe for
// concurrent use.
type Search struct {
	x     *Index
	new   []byte
	found []place // parallel to new; empty when there is no old content
	work  int     // steps taken for the current patch
}

// place is the longest match for one position of the new content.
type place struct {
	pos   int32
	known int32 // length plus one; 0: not looked up
}

// Search prepares patches to new, which may be empty and which Search keeps. It panics over more
// than NewMax bytes.
func (x *Index) Search(new []byte) *Search {
	if len(new) > NewMax {
		panic(fmt.Sprintf("suffix: a patch to %d bytes", len(new)))
	}
	s := &Search{x: x, new: new}
	if len(x.old) > 0 {
		s.found = make([]place, len(new))
	}
	return s
}

const (
	// workRate bounds the steps of a patch for each byte of the new content. Programs and text take
	// 5 to 25. Only contents that repeat long, slightly different pieces take more.
	workRate  = 64
	workAhead = 1 << 20 // steps that may exceed the rate
	// stallMax is after how many steps without change the search for a better beginning of a match
	// ends. Without it long repetitions take quadratic time.
	stallMax = 64
)

// longest is Index.longest for the new content from at on. When the work so far exceeds the bound
// for the bytes before at, it looks nothing up and finds nothing.
func (s *Search) longest(at int) (pos, length int) {
	f := &s.found[at]
	if f.known == 0 {
		if s.work > at*workRate+workAhead {
			return 0, 0
		}
		pos, length, work := s.x.longest(s.new[at:])
		s.work += work
		f.pos, f.known = int32(pos), int32(length)+1
	}
	return int(f.pos), int(f.known) - 1
}

// match says that new[start:start+length] equals or resembles old[pos:pos+length].
type match struct{ start, pos, length int }

// matches calls each for the matches that bsdiff finds: places where new agrees with old better
// than the continuation of the match before does, by gain bytes.
func (s *Search) matches(gain int, each func(match)) {
	old, new := s.x.old, s.new
	var at, length, pos int
	shift := 0 // position in old less position in new, of the match that continues
	s.work = 0
	for at < len(new) {
		score := 0 // how many bytes of new[at:scored] the continuation gets right
		stalled := 0
		at += length
		scored := at
		for ; at < len(new); at++ {
			before, posBefore := length, pos
			pos, length = s.longest(at)
			for ; scored < at+length; scored++ {
				if o := scored + shift; o >= 0 && o < len(old) && old[o] == new[scored] {
					score++
				}
			}
			if length == score && length != 0 || length > score+gain {
				break
			}
			if at == scored {
				scored++ // score does not include it
			} else if o := at + shift; o >= 0 && o < len(old) && old[o] == new[at] {
				score--
			}
			if length >= before-1 && pos == posBefore+1 {
				if stalled++; stalled > stallMax && length > 4*stallMax {
					break
				}
			} else {
				stalled = 0
			}
		}
		if length != score || at >= len(new) {
			each(match{start: at, pos: pos, length: length})
			shift = pos - at
		}
	}
}
