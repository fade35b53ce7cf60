package blockmap

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"deltaup/chunkstore"
)

// TestCountTakesNoMemory has a map of a large image that claims many pieces and has none.
func TestCountTakesNoMemory(t *testing.T) {
	const size = 64 << 30
	file, err := new(Map).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(file[len(magic)+4:], uint32(countMax(size)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Parse(file, size)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("it took %d bytes", n)
	}
}
