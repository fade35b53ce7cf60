package grub

import (
	"regexp"
	"testing"
)

// FuzzSyntax compares what tells paths and UUIDs with regular expressions.
func FuzzSyntax(f *testing.F) {
	for _, s := range []string{"", "/", "/a", "/a/b", "/a/", "//a", "/a//b", "a", "/a b", "/a;b", "1234-ABCD", "1234-ABC", "0fc63daf-8483-4772-8e79-3d69d8477de4", "0fc63daf-8483-4772-8e79-3d69d8477de45", "1234-ABCG"} {
		f.Add(s)
	}
	path := regexp.MustCompile(`^(/[A-Za-z0-9_.,:=@%+-]+)+$`)
	uuid := regexp.MustCompile(`^[A-Fa-f0-9-]{9,36}$`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := plainPath(s); got != path.MatchString(s) {
			t.Errorf("%q is a path: %v", s, got)
		}
		if got := isUUID(s); got != uuid.MatchString(s) {
			t.Errorf("%q is a UUID: %v", s, got)
		}
	})
}
