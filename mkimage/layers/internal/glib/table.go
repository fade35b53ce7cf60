// Package glib has what programs that are made with GLib share: its hash table, in whose order they
// write files, and its key files.
//
// The order is that of GLib 2.60 and later.
package glib

import "iter"

// primes are what hashes are divided by, by the binary logarithm of the table's size: the largest
// prime below the size.
var primes = [...]uint32{
	1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071,
	262139, 524287, 1048573, 2097143, 4194301, 8388593, 16777213, 33554393, 67108859, 134217689,
	268435399, 536870909, 1073741789, 2147483647,
}

const shiftMin = 3

// HashTable is a GHashTable whose keys are strings. Nothing is removed from it. The zero value is
// empty.
type HashTable[V any] struct {
	shift int
	slots []slot[V]
	n     int
	place map[string]int // of each key
}

type slot[V any] struct {
	used  bool
	hash  uint32
	key   string
	value V
}

// Hash is g_str_hash.
func Hash(key string) uint32 {
	h := uint32(5381)
	for i := range len(key) {
		h = h*33 + uint32(int32(int8(key[i])))
	}
	return h
}

// Len is the number of keys.
func (t *HashTable[V]) Len() int { return t.n }

// Get gives the value of a key.
func (t *HashTable[V]) Get(key string) (V, bool) {
	i, ok := t.place[key]
	if !ok {
		var none V
		return none, false
	}
	return t.slots[i].value, true
}

// Set gives a key a value. A key that is there already keeps its place.
func (t *HashTable[V]) Set(key string, value V) {
	if i, ok := t.place[key]; ok {
		t.slots[i].value = value
		return
	}
	if t.slots == nil {
		t.shift, t.slots, t.place = shiftMin, make([]slot[V], 1<<shiftMin), map[string]int{}
	}
	hash := max(Hash(key), 2) // smaller ones mean slots that are free
	i := t.probe(hash, func(i int) bool { return t.slots[i].used })
	t.slots[i] = slot[V]{true, hash, key, value}
	t.place[key] = i
	if t.n++; len(t.slots) <= t.n+t.n/16 {
		t.grow()
	}
}

// All gives keys and values in the order in which the table holds them.
func (t *HashTable[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for i := range t.slots {
			if t.slots[i].used && !yield(t.slots[i].key, t.slots[i].value) {
				return
			}
		}
	}
}

// probe finds the first slot for a hash that is not taken.
func (t *HashTable[V]) probe(hash uint32, taken func(i int) bool) int {
	mask := uint32(len(t.slots) - 1)
	at := hash * 11 % primes[t.shift]
	for step := uint32(1); taken(int(at)); step++ {
		at = (at + step) & mask
	}
	return int(at)
}

// grow makes the table larger, in place: an entry moves to its new slot, and drives out what is
// there, which moves next.
func (t *HashTable[V]) grow() {
	old := len(t.slots)
	t.shift = shiftMin
	for n := int(float64(t.n) * 1.333); n>>t.shift > 0; {
		t.shift++
	}
	slots := make([]slot[V], 1<<t.shift)
	copy(slots, t.slots)
	t.slots = slots
	settled := make([]bool, len(slots))
	for i := range old {
		if !slots[i].used || settled[i] {
			continue
		}
		moving := slots[i]
		slots[i] = slot[V]{}
		for moving.used {
			at := t.probe(moving.hash, func(i int) bool { return settled[i] })
			settled[at] = true
			slots[at], moving = moving, slots[at]
			t.place[slots[at].key] = at
		}
	}
}
