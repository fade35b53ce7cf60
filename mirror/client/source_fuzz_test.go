package client

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzParseSource takes any text for a mirror: what messages call it never has its password or
// query, nor a user alone.
func FuzzParseSource(f *testing.F) {
	for _, s := range []string{"https://mirror.example/os", "https://token@mirror.example/os", "https://token:@mirror.example/os", "http://me:secret@mirror.example:8080/os?token=secret", "file:///srv/mirror", "/srv/mirror", "ftp://mirror.example"} {
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
		password, set := u.User.Password()
		if set && password != "xxxxx" || !set && u.User != nil && u.User.Username() != "xxxxx" || u.RawQuery != "" {
			t.Errorf("%q is called %q", s, src)
		}
	})
}
