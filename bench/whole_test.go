package bench

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRunWhole measures a small pair with and without kernel and initrd, then deltaup again.
func TestRunWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs for some seconds")
	}
	dir, binary := workplace(t)
	o := Options{
		Deltaup: binary, Name: "small", Pair: trees(t, dir), Scratch: dir, Quick: true, Level: "fastest", Only: wholeIDs, Log: t.Logf,
	}
	first, err := RunWhole(t.Context(), o, &Whole{Pairs: []WholePair{{Name: "other"}, {Name: "small"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Pairs) != 2 || first.Pairs[0].Name != "other" {
		t.Fatalf("pairs: %+v", first.Pairs)
	}
	p := first.Pairs[1]
	if !p.PlainBefore || p.Plain || p.Kernel[1] == 0 || p.Initrd[1] == 0 || p.Image[1] == 0 {
		t.Errorf("%+v", p)
	}
	for _, m := range wholeMethods() {
		i := slices.IndexFunc(p.Ways, func(w WholeWay) bool { return w.ID == m.id })
		if i < 0 {
			if len(m.missing()) == 0 {
				t.Errorf("%s was not run: %v", m.name, p.Skipped)
			}
			continue
		}
		if w := p.Ways[i]; w.Alone.Sent <= 0 || w.Whole.Sent <= w.Alone.Sent || w.Whole.Requests < w.Alone.Requests || w.Version == "" {
			t.Errorf("%+v", w)
		}
	}
	o.Only = []string{"deltaup-bytes"}
	second, err := RunWhole(t.Context(), o, first)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range second.Pairs[1].Ways {
		if was := p.Ways[i]; w.ID != was.ID || (w.ID != "deltaup-bytes") != (w == was) {
			t.Errorf("%+v, before %+v", w, was)
		}
	}
	nothingLeft(t, dir)
}

// TestWholePages demands that the tables have the same peers in each row, and columns of the same
// number.
func TestWholePages(t *testing.T) {
	way := func(id, name, of string, alone, whole int64) WholeWay {
		return WholeWay{ID: id, Name: name, Of: of, Version: "1", Alone: Fetched{alone, 1}, Whole: Fetched{whole, 2}}
	}
	p := WholePair{Name: "small", Kernel: [2]int64{1e6, 2e6}, Ways: []WholeWay{
		way("deltaup-bytes", "deltaup", "image", 3e6, 4e6), way("curl", "whole image", "image", 30e6, 70e6),
		way("casync-image", "casync, image", "image", 20e6, 80e6), way("zstd-tar", "zstd, tar", "tar", 10e6, 20e6),
	}, Skipped: []Skipped{{"desync, image", "desync is not installed"}}}
	plain := p
	plain.Plain, plain.Ways = true, p.Ways[:3]
	w := &Whole{Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Pairs: []WholePair{p, plain}}
	page, err := (&Report{Whole: w}).quote([]byte("a\n" + summaryBegin + "old\n" + readmeEnd + "b\n" + wholeBegin + readmeEnd + "c\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		"a\n" + summaryBegin, readmeEnd + "b\n" + wholeBegin, readmeEnd + "c\n", "2 January 2026",
		"| less is better | deltaup | casync | zstd of tars | deltaup sends |\n",
		"| small: image | 3.00 MB | 20.0 MB | 10.0 MB | 3.3 × less than zstd of tars |\n",
		"| small, plain modules: with kernel and initrd | 4.00 MB | 80.0 MB | not run | 20 × less than casync |\n",
		"| casync, image | image | 20.0 MB | 1 | 80.0 MB | 2 | 1 |\n", "a kernel of 2.00 MB", "- not run: desync, image: desync is not installed\n",
	} {
		if !bytes.Contains(page, []byte(wanted)) {
			t.Errorf("no %q in\n%s", wanted, page)
		}
	}
	columns := 0
	for line := range strings.Lines(string(page)) {
		n := strings.Count(line, "|")
		if columns > 0 && n > 0 && n != columns || len(line) > 101 && n == 0 {
			t.Errorf("%d columns, want %d: %s", n, columns, line)
		}
		columns = n
	}
	for _, bad := range []string{"", "a\n", summaryBegin, readmeEnd + summaryBegin} {
		if _, err := (&Report{Whole: w}).quote([]byte(bad)); err == nil {
			t.Errorf("%q has a place", bad)
		}
	}
}
