package chars

import (
	"regexp"
	"testing"
)

// FuzzChars compares with package regexp.
func FuzzChars(f *testing.F) {
	for _, s := range []string{"", "a0", "0a", "a-0", "é", "a\xff", "\n"} {
		f.Add(s)
	}
	some, front := regexp.MustCompile(`\A[a-z0-9_-]+\z`), regexp.MustCompile(`\A[a-z0-9_-]*`)
	f.Fuzz(func(t *testing.T, s string) {
		const set = Lower + Digits + "_-"
		want := some.MatchString(s)
		if got := Some(s, set); got != want {
			t.Errorf("Some(%q): %v", s, got)
		}
		if got := Only(s, set); got != (want || s == "") {
			t.Errorf("Only(%q): %v", s, got)
		}
		got, rest := Cut(s, set)
		if got != front.FindString(s) || got+rest != s {
			t.Errorf("Cut(%q): %q and %q", s, got, rest)
		}
	})
}
