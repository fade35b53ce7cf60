package transform

import "slices"

// recentMax bounds the time that a look into recent takes.
const recentMax = 256

// recent is a list of values, the last used one first.
type recent []uint32

// use moves v to the front and tells how far behind it was; -1: it was not there.
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

// get gives the value for which v stands in a BTF section: a recent one, or the next of a list.
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
