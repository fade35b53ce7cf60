package patchset

import (
	"fmt"
	"testing"
)

// benchStep is a step in which 16 files of 128 KiB change every 2,000 bytes.
func benchStep(b *testing.B) (from, to *release, plain int64) {
	var files [2][]file
	for i := range uint64(16) {
		old := text(100+i, 128<<10)
		path := fmt.Sprintf("usr/lib/lib%02d.so", i)
		files[0] = append(files[0], file{path: path, plain: old})
		files[1] = append(files[1], file{path: path, plain: changed(old, 2000)})
		plain += int64(len(old))
	}
	return newRelease(b, 100, fixtureChunks, files[0]), newRelease(b, 200, fixtureChunks, files[1]), plain
}

func BenchmarkMake(b *testing.B) {
	from, to, plain := benchStep(b)
	b.SetBytes(plain)
	b.ReportAllocs()
	for b.Loop() {
		set, _ := makeSet(b, from, to, MakeOptions{})
		b.ReportMetric(float64(len(set)), "set-bytes")
	}
}

func BenchmarkApply(b *testing.B) {
	from, to, plain := benchStep(b)
	set, _ := makeSet(b, from, to, MakeOptions{})
	b.SetBytes(plain)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := applySet(set, from); err != nil {
			b.Fatal(err)
		}
	}
}
