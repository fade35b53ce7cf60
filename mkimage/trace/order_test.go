package trace

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"deltaup/mkimage/tree"
)

func paths(names ...string) *Trace {
	t := &Trace{}
	for i, n := range names {
		t.Files = append(t.Files, File{Path: n, First: time.Duration(i) * time.Second})
	}
	return t
}

func TestMerge(t *testing.T) {
	for name, c := range map[string]struct {
		traces []*Trace
		share  float64
		want   []string
	}{
		"none":             {nil, 0.5, []string{}},
		"one":              {[]*Trace{paths("b", "a")}, 1, []string{"b", "a"}},
		"median":           {[]*Trace{paths("a", "b", "c"), paths("b", "a", "c"), paths("a", "c", "b")}, 1, []string{"a", "b", "c"}},
		"one boot is late": {[]*Trace{paths("a", "b", "c"), paths("a", "b", "c"), paths("b", "c", "x", "y", "a")}, 0.5, []string{"a", "b", "c"}},
		"seen in few":      {[]*Trace{paths("a", "b"), paths("a"), paths("a", "b")}, 0.7, []string{"a"}},
		"seen by all":      {[]*Trace{paths("a", "b"), paths("a")}, 0, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Merge(c.traces, c.share).Paths(); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestMergeKeepsWhatIsKnown(t *testing.T) {
	a := &Trace{Lost: 1, Files: []File{{"x", 4, []byteRange{{0, 10}}}, {"y", 8, nil}}}
	b := &Trace{Lost: 2, Files: []File{{"x", 2, []byteRange{{5, 10}, {100, 1}}}, {"y", 20, nil}}}
	got := Merge([]*Trace{a, b}, 1)
	want := &Trace{Lost: 3, Files: []File{{"x", 3, []byteRange{{0, 15}, {100, 1}}}, {"y", 14, nil}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(a.Files[0].ranges) != 1 || a.Files[0].ranges[0] != (byteRange{0, 10}) {
		t.Errorf("an input was changed: %v", a)
	}
}

func TestJoin(t *testing.T) {
	early := &Trace{Lost: 1, Files: []File{{"init", 5, nil}, {"libc", 6, []byteRange{{0, 4}}}}}
	late := &Trace{Files: []File{{"libc", 3, []byteRange{{4, 4}}}, {"sh", 9, nil}}}
	got := join(early, late)
	want := &Trace{Lost: 1, Files: []File{{"libc", 3, []byteRange{{0, 8}}}, {"init", 5, nil}, {"sh", 9, nil}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestResolve(t *testing.T) {
	file := func(path string) tree.Entry {
		return tree.Entry{Path: path, Attr: tree.Attr{Type: tree.Regular}}
	}
	link := func(path, target string) tree.Entry {
		return tree.Entry{Path: path, Attr: tree.Attr{Type: tree.Symlink, Target: target}}
	}
	entries := []tree.Entry{
		{Path: "", Attr: tree.Attr{Type: tree.Directory}},
		{Path: "etc", Attr: tree.Attr{Type: tree.Directory}},
		file("etc/a"), link("lib", "usr/lib"), file("lib64"), link("loop", "loop"),
		file("usr/lib/libc.so.6"), link("usr/lib/libx.so.1", "libx.so.1.3"), file("usr/lib/libx.so.1.3"),
		link("usr/lib/abs", "/etc/a"), link("up", "../../etc"),
		file("usr/lib/modules/6.1.0-56/fs.ko"), file("usr/lib/modules/6.1.0-56/a.ko.xz"), file("two1"), file("two2"),
	}
	for path, want := range map[string]string{
		"etc/a":                          "etc/a",
		"lib/libc.so.6":                  "usr/lib/libc.so.6",
		"lib/libx.so.1":                  "usr/lib/libx.so.1.3",
		"usr/lib/abs":                    "etc/a",
		"up/a":                           "etc/a",
		"etc/../etc/a":                   "etc/a",
		"usr/lib/modules/6.1.0-50/fs.ko": "usr/lib/modules/6.1.0-56/fs.ko",
		// a module that was packed
		"usr/lib/modules/6.1.0-50/fs.ko.xz":   "usr/lib/modules/6.1.0-56/fs.ko",
		"lib/modules/6.1.0-56/fs.ko.zst":      "usr/lib/modules/6.1.0-56/fs.ko",
		"usr/lib/modules/6.1.0-50/a.ko.xz":    "usr/lib/modules/6.1.0-56/a.ko.xz",
		"usr/lib/modules/6.1.0-56/none.ko.xz": "",
		"usr/lib/libx.so.1.2":                 "usr/lib/libx.so.1.3",
		"two3":                                "", // which of the two?
		"etc":                                 "",
		"loop":                                "",
		"missing":                             "",
	} {
		got, unknown := paths(path).Resolve(entries)
		if want == "" && (len(got.Files) > 0 || len(unknown) != 1) {
			t.Errorf("%s became %q, %q unknown", path, got.Paths(), unknown)
		}
		if want != "" && !slices.Equal(got.Paths(), []string{want}) {
			t.Errorf("%s became %q, want %s", path, got.Paths(), want)
		}
	}
}

func TestKeep(t *testing.T) {
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("f%02d", i))
	}
	swapped := slices.Clone(hundred)
	for i := 0; i+3 < len(swapped); i += 4 {
		swapped[i], swapped[i+3] = swapped[i+3], swapped[i]
	}
	moved := append(slices.Clone(hundred[1:]), "f00")
	grown := slices.Insert(slices.Clone(hundred), 50, "new1", "new2")
	for name, c := range map[string]struct{ previous, wanted, want []string }{
		"nothing before":     {nil, []string{"b", "a"}, []string{"b", "a"}},
		"noise":              {hundred, swapped, hundred},
		"a real move":        {hundred, moved, moved},
		"what is new":        {hundred, grown, grown},
		"new at the front":   {[]string{"a", "b"}, []string{"x", "a", "b"}, []string{"x", "a", "b"}},
		"what is not needed": {[]string{"a", "b", "c"}, []string{"c", "a"}, []string{"a", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Keep(c.previous, c.wanted); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
