package client

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
)

// TestRefusals: what a caller is told of a mirror that does not just serve damaged files.
func TestRefusals(t *testing.T) {
	s := newShelf(t)
	other := *s.release
	other.Version = "2"
	otherFile, err := other.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	endless := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		for zeros := make([]byte, 1<<10); r.Context().Err() == nil; {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}
	release := func(c *Client) error {
		_, err := c.ReleaseFile(t.Context(), s.release.Version, s.relObj)
		return err
	}
	fetch := func(c *Client) error {
		_, err := c.Fetch(t.Context(), s.name, s.object, s.object.Size)
		return err
	}
	blame := func(c *Client) error {
		for {
			r, err := c.ReadRange(t.Context(), s.name, 0, 1000)
			if err != nil {
				return err
			}
			_, err = io.ReadFull(r, make([]byte, 1000))
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
			if err := c.Blame(r, errors.New("wrong")); err != nil {
				return err
			}
		}
	}
	kinds := []error{ErrTooLong, ErrEncoding, mirror.ErrOtherRelease, mirror.ErrOtherSet, ErrSlow}
	for _, tt := range []struct {
		name  string
		fault faultserver.Fault
		do    func(*Client) error
		want  error // of kinds; nil is none
	}{
		{"another release", faultserver.Replace(otherFile), release, mirror.ErrOtherRelease},
		{"a damaged release", faultserver.Flip(20), release, nil},
		{"a short release", faultserver.Shorten(20), release, nil},
		{"a long release", faultserver.Replace(make([]byte, mirror.MaxReleaseSize)), release, ErrTooLong},
		{"an endless release", endless, release, ErrTooLong},
		{"a compressed release", faultserver.Header("Content-Encoding", "gzip"), release, ErrEncoding},
		{"a damaged file", faultserver.Flip(20), fetch, nil},
		{"a long file", faultserver.Replace(make([]byte, 300_000)), fetch, ErrTooLong},
		{"an endless file", endless, fetch, ErrTooLong},
		{"an endless range", endless, blame, ErrTooLong},
		{"a range of a damaged file", faultserver.Flip(20), blame, nil},
		{"a range of a damaged file, without ranges", faultserver.Replace(make([]byte, 200_000)), blame, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := s.serve(t, faultserver.Rule{Fault: tt.fault})
			err := tt.do(testClient(t, quick(), srv.URL))
			wantSentinel(t, err, mirror.ErrDamaged, srv.URL)
			if !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("%v is not ErrCorrupt", err)
			}
			for _, kind := range kinds {
				if errors.Is(err, kind) != (kind == tt.want) {
					t.Errorf("%v: is %q: %v", err, kind, errors.Is(err, kind))
				}
			}
		})
	}
}

// TestAddressWithSecret: what is typed in place of an address shows no password and no token,
// whatever is wrong with it.
func TestAddressWithSecret(t *testing.T) {
	for _, s := range []string{
		"http:/user:SECRET@mirror.example/os", "https:user:SECRET@mirror.example/os",
		"https:///user:SECRET@mirror.example/os", "user:SECRET@mirror.example/os",
		"user:SEC/SECRET@mirror.example/os", "user:SECRET@mirror.example:80/os", "user:SECRET@localhost/os", "localhost/os?SECRET",
		"http://user:SECRET@mirror.example:port/os", "ftp://user:SECRET@mirror.example/os?SECRET",
		"ftp:///user:SECRET@mirror.example/os",
	} {
		_, err := New([]string{s}, Options{})
		if err == nil {
			t.Errorf("%s is taken", s)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
