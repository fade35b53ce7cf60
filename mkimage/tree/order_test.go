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

// FuzzCompare compares Compare with its definition: the names compared one by one.
func FuzzCompare(f *testing.F) {
	f.Add("a/b", "a-b")
	f.Add("", "a")
	f.Add("usr/bin/env", "usr/bin")
	f.Fuzz(func(t *testing.T, a, b string) {
		if slices.Contains(names(a), "") || slices.Contains(names(b), "") {
			return // these are no paths
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
