package suffix

import "fmt"

// Search makes patches from one old content to one new one. What it looks up for one patch serves
// the next, for which it takes eight times the new content's size in memory. It is not safe for
// concurrent use.
type Search struct {
	x     *Index
	new   []byte
	found []place // parallel to new
	work  int     // of the patch at hand
}

// place is what was found for one position of the new content.
type place struct {
	pos   int32
	known int32 // length plus one; 0: not looked up
}

// Search begins the search for new, which may be empty and is kept; more than NewMax bytes panic.
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
	// 5 to 25; only contents that repeat themselves in long, slightly different pieces come to
	// more.
	workRate  = 64
	workAhead = 1 << 20 // steps that may be taken before they are earned
	// stallMax ends the search for a better beginning of a match after so many steps without
	// change: otherwise long repetitions take quadratic time.
	stallMax = 64
)

// longest is Index.longest for the new content from at on. When the work so far is more than the
// bytes before at are worth, it finds nothing: then only some positions are looked up.
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

// match says that new[start:start+length] resembles old from pos on.
type match struct{ start, pos, length int }

// matches finds the matches of bsdiff: places where new agrees with old and not with the
// continuation of the match before.
func (s *Search) matches(gain int, each func(match)) {
	old, new := s.x.old, s.new
	var at, length, pos int
	shift := 0 // old position minus new position of the match that is being continued
	s.work = 0
	for at < len(new) {
		score := 0 // of the bytes in at to scored, how many the continuation gets right
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
				scored++ // it was not counted
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
