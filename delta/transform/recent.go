package transform

import "slices"

// recentMax bounds the length of recent, and so the time that a search takes.
const recentMax = 256

// recent is a list of values, the one used last first.
type recent []uint32

// use moves or adds v to the front. It gives the place that v had, or -1 when it was not in the
// list.
func (r *recent) use(v uint32) int {
	i := slices.Index(*r, v)
	at := i
	if i < 0 {
		if len(*r) < recentMax {
			*r = append(*r, v)
		}
		at = len(*r) - 1
	}
	copy((*r)[1:at+1], (*r)[:at])
	(*r)[0] = v
	return i
}

// get gives the number for which v stands in a rewritten BTF section: a recent one, or for btfNext
// the next of list.
func (r *recent) get(v uint32, list *[]uint32) (uint32, bool) {
	if v == btfNext {
		if len(*list) == 0 {
			return 0, false
		}
		v, *list = (*list)[0], (*list)[1:]
	} else {
		if int64(v) > int64(len(*r)) {
			return 0, false
		}
		v = (*r)[v-1]
	}
	r.use(v)
	return v, true
}
