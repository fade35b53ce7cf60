package chunkstore

import "hash/maphash"

// Numbers finds the numbers of things by their ids: most often indexes in a list of what has the
// ids. It keeps no id, only the numbers, in 6 to 11 bytes for each; so callers say what has a
// number. The zero value is empty. Who reads is in nobody's way.
type Numbers struct {
	slots []uint32 // a number plus one; 0: free
	count int
}

// numbersSeed keeps whoever chooses ids from choosing slots.
var numbersSeed = maphash.MakeSeed()

// Find gives a number that is wanted: it asks for all that were added under id, until one is, and
// for some that were not.
func (t *Numbers) Find(id *ID, wanted func(n uint32) bool) (n uint32, ok bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	for at := t.slot(id); t.slots[at] != 0; at = t.next(at) {
		if n := t.slots[at] - 1; wanted(n) {
			return n, true
		}
	}
	return 0, false
}

// Add enters a number under its id. Of gives the ids of the numbers that were added before. Their
// ids may have changed since, but not between two of those calls of Find and Add that are to find
// each other's numbers.
func (t *Numbers) Add(n uint32, id *ID, of func(n uint32) *ID) {
	if 4*(t.count+1) > 3*len(t.slots) {
		old := t.slots
		t.slots = make([]uint32, max(16, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				t.put(v-1, of(v-1))
			}
		}
	}
	t.put(n, id)
	t.count++
}

func (t *Numbers) put(n uint32, id *ID) {
	at := t.slot(id)
	for t.slots[at] != 0 {
		at = t.next(at)
	}
	t.slots[at] = n + 1
}

// slot is where the search for an id begins. The number of slots is a power of two.
func (t *Numbers) slot(id *ID) int {
	return int(maphash.Bytes(numbersSeed, id[:]) & uint64(len(t.slots)-1))
}

func (t *Numbers) next(at int) int { return (at + 1) & (len(t.slots) - 1) }

// ContentTable finds contents by their ids, in about a third of the memory of a map. The zero value
// is empty.
type ContentTable struct {
	list []*Content
	at   Numbers // indexes in list
}

// Get gives the content with an id; nil: there is none.
func (t *ContentTable) Get(id ID) *Content {
	n, ok := t.at.Find(&id, func(n uint32) bool { return t.list[n].ID == id })
	if !ok {
		return nil
	}
	return t.list[n]
}

// Add enters a content, unless there is one with its id, and tells whether it did.
func (t *ContentTable) Add(c *Content) bool {
	if t.Get(c.ID) != nil {
		return false
	}
	t.at.Add(uint32(len(t.list)), &c.ID, func(n uint32) *ID { return &t.list[n].ID })
	t.list = append(t.list, c)
	return true
}
