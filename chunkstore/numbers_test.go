package chunkstore

import (
	"encoding/binary"
	"testing"
)

// TestNumbers finds each of many numbers, also where two things have one id, and nothing else.
func TestNumbers(t *testing.T) {
	var table Numbers
	if _, ok := table.Find(&ID{1}, func(uint32) bool { return true }); ok {
		t.Fatal("found in an empty table")
	}
	const count = 10_000
	ids := make([]ID, count) // two numbers have each id
	for i := range ids {
		binary.BigEndian.PutUint32(ids[i][:], uint32(i/2+1))
		table.Add(uint32(i), &ids[i], func(n uint32) *ID { return &ids[n] })
	}
	for i := range ids {
		n, ok := table.Find(&ids[i], func(n uint32) bool { return n == uint32(i) })
		if !ok || n != uint32(i) {
			t.Fatalf("number %d: found %d, %v", i, n, ok)
		}
		n, ok = table.Find(&ids[i], func(n uint32) bool { return ids[n] == ids[i] })
		if !ok || n/2 != uint32(i/2) {
			t.Fatalf("id of %d: found %d, %v", i, n, ok)
		}
	}
	absent := ID{31: 1}
	if n, ok := table.Find(&absent, func(n uint32) bool { return ids[n] == absent }); ok {
		t.Errorf("found %d for an id that nothing has", n)
	}
	if most := count * 11; 4*len(table.slots) > most {
		t.Errorf("%d numbers take %d bytes, at most %d", count, 4*len(table.slots), most)
	}
}
