package oci

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func (r Reference) tag(tb testing.TB) name.Tag {
	return must[name.Tag](tb)(name.NewTag(r.Name))
}

var zeros = "sha256:" + strings.Repeat("0", 64)

func TestParseReference(t *testing.T) {
	for s, want := range map[string]Reference{
		"debian:12":                         {Name: "debian:12"},
		"docker://r.example:5000/a/b:c":     {Name: "r.example:5000/a/b:c"},
		"r.example/ab:c@" + zeros:           {Name: "r.example/ab:c", Digest: zeros},
		"oci:dir":                           {Path: "dir"},
		"oci:dir:r.example/a:b":             {Path: "dir", Name: "r.example/a:b"},
		"oci-archive:a.tar@" + zeros:        {Path: "a.tar", Digest: zeros},
		"docker-archive:/b/a.tar:debian:12": {Path: "/b/a.tar", Name: "debian:12"},
		"./a":                               {Path: "./a"}, "../a:b": {Path: "../a", Name: "b"}, "/a/b": {Path: "/a/b"},
	} {
		got, err := ParseReference(s)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "oci:", "oci::a", "Upper:1", "a@", "a@sha256:12", "a@sha512:" + strings.Repeat("0", 128), "a:b@" + strings.ToUpper(zeros), "./a\x00", "a b"} {
		if got, err := ParseReference(s); !errors.Is(err, ErrReference) {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestDigestOfReference(t *testing.T) {
	other := strings.Replace(zeros, "00", "11", 1)
	for _, c := range []struct {
		own, locked, want string
		err               error
	}{
		{"", "", "", nil}, {zeros, "", zeros, nil}, {"", zeros, zeros, nil}, {zeros, zeros, zeros, nil},
		{zeros, other, "", ErrDigest}, {"", "junk", "", ErrReference},
	} {
		h, err := Reference{Name: "a", Digest: c.own}.digest(c.locked)
		if !errors.Is(err, c.err) || err == nil && c.want != "" && h.String() != c.want || c.want == "" && h != (v1.Hash{}) {
			t.Errorf("%+v: got %v, %v", c, h, err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"debian:12", "oci:a:b", "./a@" + zeros, "docker-archive:/a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			if !errors.Is(err, ErrReference) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		again, err := ParseReference(r.String())
		if r.Path != "" && !strings.HasPrefix(r.Path, "/") {
			again, err = ParseReference("oci:" + r.String())
		}
		if err != nil || again != r {
			t.Fatalf("%q is %+v, and again %+v, %v", s, r, again, err)
		}
	})
}
