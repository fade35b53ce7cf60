package client

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzLooksRemote compares with a regular expression.
func FuzzLooksRemote(f *testing.F) {
	for _, s := range []string{
		"", "/srv/mirror", "mirror", "HTTP:/x", "https:x", "me:secret@host", "me:se/cret@host", "me/x:y@z", ":@", "::@x",
		"host:80", "host:80/x", "host:/x", "host:80x", "me@host:80/", "me@x@host:80", "@host:1", "LocalHost", "localhost/x",
		"localhost:", "localhost.", "me@localhost", "[::1]", "[::1]/x", "[::1]:80", "[]", "[::1", "[::1]x", "[x]:80", "a[::1]:80", "a_b:80",
	} {
		f.Add(s)
	}
	address := regexp.MustCompile(`^(http|https):|^[^/@]+:[^@]*@|` +
		`^([^/@]*@)?([a-z0-9.-]+|\[[0-9a-f:.]+\]):[0-9]+(/|$)|^([^/@]*@)?(localhost|\[[0-9a-f:.]+\])(/|$)`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := looksRemote(s), address.MatchString(strings.ToLower(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	})
}
