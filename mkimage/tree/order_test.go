package tree

import (
	"slices"
	"strings"
	"testing"
)

func TestCompareOrdersComponents(t *testing.T) {
	want := []string{"", "a", "a/b", "a/b/c", "a/b-c", "a!", "a-b", "a.b", "a0", "ab", "b", "\x80", "\xff/a"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"a", "", true}, {"", "", false}, {"a/b", "a", true}, {"a/b/c", "a", true},
		{"a", "a", false}, {"ab", "a", false}, {"a-b", "a", false}, {"b/a", "a", false},
	} {
		if got := below(c.path, c.dir); got != c.want {
			t.Errorf("below(%q, %q) = %v", c.path, c.dir, got)
		}
	}
}

// FuzzCompare holds Compare against the definition: the names compared one by one.
func FuzzCompare(f *testing.F) {
	f.Add("a/b", "a-b")
	f.Add("", "a")
	f.Add("usr/bin/env", "usr/bin")
	f.Fuzz(func(t *testing.T, a, b string) {
		if checkPath(a) != nil || checkPath(b) != nil {
			return
		}
		if got, want := Compare(a, b), slices.Compare(names(a), names(b)); got != want {
			t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}

func names(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
