package rootfs

import (
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

func TestPatternMatch(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string // paths, separated by spaces
	}{
		{"boot", "boot", "bootx boot/x a/boot"},
		{"/boot/", "boot", "boot/x"},
		{"./boot//grub", "boot/grub", "boot grub"},
		{"boot/*", "boot/a boot/.hidden", "boot boot/a/b"},
		{"boot/**", "boot/a boot/a/b", "boot"},
		{"**/*.pyc", "a.pyc a/b.pyc a/b/c.pyc", "a.py a.pyc/b"},
		{"**", "a a/b", ""},
		{"var/**/log", "var/log var/a/log var/a/b/log", "var/log/a log var"},
		{"a/**/b/**/c", "a/b/c a/x/b/c a/b/x/c a/b/b/c/c a/x/b/y/z/c", "a/c a/b a/b/c/d"},
		{"**/b/c", "b/c b/b/c a/b/c", "b/b b/c/d"},
		{"*/**", "a/b a/b/c", "a"},
		{"a?c", "abc a.c", "ac abbc"},
		{"[a-c]x", "ax bx", "dx"},
		{`a\*`, "a*", "ab"},
		{"a**b", "ab axb", "a/b a/x/b"},
		{"*", "a \xff", "a/b"},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		for _, path := range strings.Fields(c.yes) {
			if !p.match(names(path)) {
				t.Errorf("%q does not match %q", c.pattern, path)
			}
		}
		for _, path := range strings.Fields(c.no) {
			if p.match(names(path)) {
				t.Errorf("%q matches %q", c.pattern, path)
			}
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for _, s := range []string{"", "/", ".", "a/../b", "[a", "a/[]b", `a\`} {
		if _, err := newFilter(Filter{Exclude: []string{s}}); err == nil || !strings.Contains(err.Error(), "exclude pattern") {
			t.Errorf("%q: got error %v", s, err)
		}
	}
}

func TestLeaveOut(t *testing.T) {
	all := "boot boot/grub boot/grub/a boot/vmlinuz etc etc/a usr usr/lib usr/lib/x.pyc usr/lib/y.py"
	for _, c := range []struct {
		name             string
		exclude, include []string
		want             string
	}{
		{"nothing", nil, nil, all},
		{"include alone", nil, []string{"etc"}, all},
		{"below, not itself", []string{"boot/*"}, nil, "boot etc etc/a usr usr/lib usr/lib/x.pyc usr/lib/y.py"},
		{"itself and below", []string{"boot"}, nil, "etc etc/a usr usr/lib usr/lib/x.pyc usr/lib/y.py"},
		{"any depth", []string{"**/*.pyc", "boot"}, nil, "etc etc/a usr usr/lib usr/lib/y.py"},
		{"added again with its parents", []string{"boot", "usr"}, []string{"boot/grub/a"}, "boot boot/grub boot/grub/a etc etc/a"},
		{"folder added again with all in it", []string{"boot", "usr"}, []string{"boot/grub"}, "boot boot/grub boot/grub/a etc etc/a"},
		{"only these", []string{"*"}, []string{"etc", "usr/lib/y.py"}, "etc etc/a usr usr/lib usr/lib/y.py"},
		{"include matches nothing", []string{"**"}, []string{"none"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Filter: Filter{Exclude: c.exclude, Include: c.include}}
			files := []file{}
			for _, path := range strings.Fields(all) {
				files = append(files, file{Name: path, Dir: strings.Contains(all, path+"/")})
			}
			got := paths(readTar(t, makeTar(t, files...), o))
			if want := append([]string{""}, strings.Fields(c.want)...); !slices.Equal(got, want) {
				t.Errorf("tar:    got %q\nwant %q", got, want)
			}
			fromFolder := paths(mustRead(t, writeFolder(t, files...), o))
			if !slices.Equal(fromFolder, got) {
				t.Errorf("folder: got %q\nwant %q", fromFolder, got)
			}
		})
	}
}

// TestReachesBelow checks which folders need reading: a folder that is left out need not even be
// readable.
func TestReachesBelow(t *testing.T) {
	f, err := newFilter(Filter{Exclude: []string{"*"}, Include: []string{"a/*/c", "x/**/y"}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"a": true, "a/b": true, "a/b/c": false, "b": false, "x": true, "x/1/2/3": true,
	} {
		if got := f.reaches(path); got != want {
			t.Errorf("reaches(%q) = %v", path, got)
		}
	}
}

// matchSlowly is the definition of pattern.match, for comparison.
func matchSlowly(p pattern, names []string) bool {
	switch {
	case len(p) == 0:
		return len(names) == 0
	case p[0] == "**" && len(p) == 1:
		return len(names) > 0
	case p[0] == "**":
		return matchSlowly(p[1:], names) || len(names) > 0 && matchSlowly(p, names[1:])
	}
	return len(names) > 0 && matchName(p[0], names[0]) && matchSlowly(p[1:], names[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("a/**/b", "a/x/b")
	f.Add("**/a/**/b/*", "a/a/b/b/c")
	f.Add("[a-", "a")
	f.Add("**/**", "a")
	f.Fuzz(func(t *testing.T, s, path string) {
		p, err := parsePattern(s)
		if err != nil || len(p) > 12 || checkPath(path) != nil || path == "" || strings.Count(path, "/") > 12 {
			return
		}
		got := p.match(names(path))
		if want := matchSlowly(p, names(path)); got != want {
			t.Errorf("%q matches %q: %v, want %v", s, path, got, want)
		}
		for dir := parentOf(path); got && dir != ""; dir = parentOf(dir) {
			if !p.reaches(names(dir)) {
				t.Errorf("%q matches %q, but is said not to reach below %q", s, path, dir)
			}
		}
	})
}

// typeNames are the names of types in messages of the tests below.
var typeNames = map[tree.Type]string{
	tree.Directory: "d", tree.Regular: "f", tree.Symlink: "l",
	tree.BlockDevice: "b", tree.CharDevice: "c", tree.FIFO: "p", tree.Socket: "s",
}
