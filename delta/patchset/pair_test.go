package patchset_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/delta/transform"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// BenchmarkPair makes and applies the set between two real images, which DELTAUP_OLD and
// DELTAUP_NEW name, and prints what the set consists of. doc/patchset.md has its results for two
// releases of Debian:
//
//	DELTAUP_OLD=v1.squashfs DELTAUP_NEW=v2.squashfs go test -run '^$' -bench Pair -benchtime 1x ./delta/patchset
func BenchmarkPair(b *testing.B) {
	oldPath, newPath := os.Getenv("DELTAUP_OLD"), os.Getenv("DELTAUP_NEW")
	if oldPath == "" || newPath == "" {
		b.Skip("DELTAUP_OLD and DELTAUP_NEW name no images")
	}
	from, to := derive(b, oldPath), derive(b, newPath)
	var set bytes.Buffer
	b.Run("Make", func(b *testing.B) {
		for b.Loop() {
			set.Reset()
			stats, err := patchset.Make(b.Context(), &set, sideOf(from), sideOf(to), patchset.MakeOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(stats.Size), "set-bytes")
			b.Logf("\n%s", table(stats))
		}
	})
	b.Run("Apply", func(b *testing.B) {
		for b.Loop() {
			apply(b, set.Bytes(), from)
		}
	})
}

func sideOf(d *mkimage.Derived) patchset.Side {
	return patchset.Side{Recipe: d.Recipe, Contents: patchset.FromImage(d)}
}

func derive(b *testing.B, path string) *mkimage.Derived {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() }) // it was only read
	st, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	m, err := squashfs.Open(f, st.Size())
	if err != nil {
		b.Fatal(err)
	}
	d, err := mkimage.Derive(context.Background(), m, chunkstore.Params{}, mkimage.DeriveOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// table prints the bytes of a set by stream and coder, and of its entries by transform.
func table(s *patchset.Stats) string {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stream\tcoder\tplain\tstored\t")
	for _, x := range s.Streams {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t\n", x.Stream, x.Coder, x.Plain, x.Stored)
	}
	fmt.Fprintf(w, "all\t\t\t%d\t\n", s.Size)
	fmt.Fprintln(w, "transform\tentries\tplain\tstored, about\t")
	for id := range uint8(255) {
		if _, ok := transform.ByID(id); !ok && id != 0 {
			continue
		}
		name, n, plain, cost := "none", 0, int64(0), int64(0)
		if t, ok := transform.ByID(id); ok {
			name = t.Name()
		}
		for _, e := range s.Entries {
			if e.Transform == id {
				n, plain, cost = n+1, plain+e.Content.Size, cost+e.Cost
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", name, n, plain, cost)
	}
	largest := slices.SortedFunc(slices.Values(s.Entries), func(a, b patchset.EntryStats) int { return int(b.Cost - a.Cost) })
	for _, e := range largest[:min(10, len(largest))] {
		fmt.Fprintf(w, "%s\t\t%d\t%d\t\n", e.Path, e.Content.Size, e.Cost)
	}
	w.Flush() // never fails
	return out.String()
}

// apply makes all contents of a set.
func apply(b *testing.B, set []byte, from *mkimage.Derived) {
	n, err := patchset.HeadSize(set)
	if err != nil {
		b.Fatal(err)
	}
	h, err := patchset.ReadHead(set[:n])
	if err != nil {
		b.Fatal(err)
	}
	s, err := h.Step(from.Recipe)
	if err != nil {
		b.Fatal(err)
	}
	old := patchset.FromImage(from)
	plain := int64(0)
	read := func(n int) ([]byte, error) {
		ref := h.Groups[n]
		return set[ref.Offset : ref.Offset+ref.Length], nil
	}
	groups := s.Groups(read)
	for i, n := 0, 0; n < len(h.Groups); n++ {
		g, err := groups.Open(n)
		if err != nil {
			b.Fatal(err)
		}
		for ; i < len(s.Entries) && s.Entries[i].Group == n; i++ {
			var base patchset.Reading
			if c := s.Entries[i].Base; c != nil {
				if base, err = old.Open(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
			ready, err := s.Prepare(i, s.Groups(read).Open)
			if err != nil {
				b.Fatal(err)
			}
			p, err := g.Content(i, base, ready)
			if err != nil {
				b.Fatal(err)
			}
			plain += int64(len(p))
			if base != nil {
				base.Close() // it was only read
			}
		}
	}
	b.SetBytes(plain)
}
