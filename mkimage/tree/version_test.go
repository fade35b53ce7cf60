package tree

import (
	"regexp"
	"testing"
)

// FuzzUnversioned compares with a regular expression.
func FuzzUnversioned(f *testing.F) {
	for _, s := range []string{"", "libfoo.so.3.0.4", "a1.~2-x", "1-", ".5.", "a:1:_+2.", "é1é", "\xff0\xff", "10"} {
		f.Add(s)
	}
	version := regexp.MustCompile(`[0-9]+([.:_+~-]*[0-9]+)*`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := Unversioned(s), version.ReplaceAllString(s, "#"); got != want {
			t.Errorf("%q became %q, not %q", s, got, want)
		}
	})
}
