package mirror

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzParseSource takes any text for a mirror: what messages call it never has its password or query.
func FuzzParseSource(f *testing.F) {
	for _, s := range []string{"https://mirror.example/os", "http://me:secret@mirror.example:8080/os?token=secret", "file:///srv/mirror", "/srv/mirror", "ftp://mirror.example"} {
		f.Add(s)
	}
	web := func(u *url.URL) (*webSource, error) { return &webSource{base: u}, nil }
	f.Fuzz(func(t *testing.T, s string) {
		src, err := parseSource(s, web)
		if err != nil {
			if src != nil {
				t.Error("a source beside an error")
			}
			return
		}
		u, err := url.Parse(src.String())
		if err != nil || !strings.HasPrefix(s, "http") {
			return // a folder is called by its path
		}
		if password, set := u.User.Password(); set && password != "xxxxx" || u.RawQuery != "" {
			t.Errorf("%q is called %q", s, src)
		}
	})
}
