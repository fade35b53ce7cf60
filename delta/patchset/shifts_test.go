package patchset

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"deltaup/chunkstore"
)

// modules is a step with n kernel modules, each with another end, by
//
//	go test ./delta/transform -run ModuleSamples -update
func modules(t *testing.T, n int) (from, to *release) {
	t.Helper()
	list := func(name, version string) (list []file) {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			path := fmt.Sprintf("lib/modules/%s/%d.ko", version, i)
			list = append(list, file{path: path, plain: append(bytes.Clone(b), text(uint64(i), 30)...)})
		}
		return append(list, file{path: "lib/modules/" + version + "/none.ko", plain: text(1, 500)})
	}
	from = newRelease(t, 1, fixtureChunks, list("module-1.ko", "6.1.0-55"))
	to = newRelease(t, 1, fixtureChunks, append(list("module-2.ko", "6.1.0-56"), file{path: "lib/modules/other", plain: text(3, 500)}))
	return from, to
}

// shiftedOf counts the entries of a set with shifts.
func shiftedOf(t *testing.T, s *Step) (n int) {
	for i := range s.Entries {
		if e := &s.Entries[i]; e.shifts != nil {
			n++
			if e.Transform == 0 || e.Base == nil {
				t.Errorf("shifts for the entry %+v", e)
			}
		}
	}
	return n
}

func TestShifts(t *testing.T) {
	for _, n := range []int{1, modulesMin, 2 * modulesMin} {
		from, to := modules(t, n)
		set, _ := makeSet(t, from, to, MakeOptions{})
		s := checkSet(t, set, from, to)
		want := n
		if n < modulesMin {
			want = 0
		}
		if got := shiftedOf(t, s); got != want {
			t.Errorf("%d modules: %d have shifts", n, got)
		}
		if again, _ := makeSet(t, from, to, MakeOptions{}); !bytes.Equal(again, set) {
			t.Error("another set")
		}
	}
}

// moduleSets are golden sets of modules, with the transform of all. Nobody makes the first any
// more.
var moduleSets = map[string]uint8{"testdata/shifted.set": 8, orderedSet: 15}

const orderedSet = "testdata/ordered.set"

// TestGoldenModules applies sets of modules that were made before.
func TestGoldenModules(t *testing.T) {
	from, to := modules(t, modulesMin)
	if *update {
		set, _ := makeSet(t, from, to, MakeOptions{})
		if err := os.WriteFile(orderedSet, set, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for golden, id := range moduleSets {
		set, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range checkSet(t, set, from, to).Entries {
			if e.Transform == id {
				n++
			}
		}
		if n != modulesMin {
			t.Errorf("%s: %d of %d modules have the transform %d", golden, n, modulesMin, id)
		}
	}
}

// TestShiftTables demands that shifts are bounded, and those that entries name there.
func TestShiftTables(t *testing.T) {
	one := []byte{1, 9, 2, 1, 8, 4}
	for name, c := range map[string]struct {
		b      []byte
		tables int // -1: corrupt
	}{
		"none":       {nil, 0},
		"two":        {append(bytes.Clone(one), one...), 2},
		"cut off":    {one[:5], -1},
		"too many":   {bytes.Repeat(one, shiftTablesMax+1), -1},
		"too much":   {bytes.Repeat(one, shiftsMax/len(one)+1), -1},
		"many":       {bytes.Repeat(one, shiftTablesMax), shiftTablesMax},
		"no numbers": {[]byte{0, 0}, -1},
	} {
		in := input{b: c.b}
		got := readShifts(&in)
		if c.tables < 0 && !errors.Is(in.err, chunkstore.ErrCorrupt) || c.tables >= 0 && (in.err != nil || len(got) != c.tables) {
			t.Errorf("%s: %d tables, %v", name, len(got), in.err)
		}
	}
}
