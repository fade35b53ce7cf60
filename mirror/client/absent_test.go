package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
)

// page answers as a login does.
func page(code int) faultserver.Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = w.Write([]byte("<!DOCTYPE html><p>please log in</p>")) // the client may have left
	}
}

// absences are what servers answer for what they lack.
var absences = map[string]faultserver.Fault{
	"404": faultserver.Status(404, 0), "410": faultserver.Status(410, 0), "403": faultserver.Status(403, 0), "400": faultserver.Status(400, 0),
	"404 as a page": page(404), "403 as a page": page(403),
}

// TestAbsentOptional: a file that need not be there is missing, whatever word a server has for it,
// and whoever else is silent.
func TestAbsentOptional(t *testing.T) {
	s := newShelf(t)
	name := "metadata/2.root.json"
	faults := map[string]faultserver.Fault{"a page": page(200)}
	for k, v := range absences {
		faults[k] = v
	}
	for kind, fault := range faults {
		srv := s.serve(t, faultserver.Rule{Path: name, Fault: fault})
		for what, mirrors := range map[string][]string{
			"alone":              {srv.URL},
			"before a dead one":  {srv.URL, "http://127.0.0.1:1"},
			"after a dead one":   {"http://127.0.0.1:1", srv.URL},
			"beside a lost disk": {srv.URL, "/nosuch/folder"},
		} {
			c := testClient(t, quick(), mirrors...)
			err := c.FetchOptional(t.Context(), name, 1000, func([]byte) error { return errors.New("nothing to parse") })
			if !errors.Is(err, ErrMissing) {
				t.Errorf("%s, %s: %v", kind, what, err)
			}
			if n := c.Stats().Requests; n > len(mirrors) {
				t.Errorf("%s, %s: %d requests", kind, what, n)
			}
		}
		// A mirror that has the file is asked, whatever the one before it said.
		s.put(t, "metadata/2.root.json", []byte("root"))
		got := ""
		err := testClient(t, quick(), srv.URL, s.dir).FetchOptional(t.Context(), name, 1000, func(b []byte) error { got = string(b); return nil })
		if err != nil || got != "root" {
			t.Errorf("%s: the mirror behind it sends %q, %v", kind, got, err)
		}
	}
}

// TestAbsentOptionalDoubt: what is not said by any mirror, or contradicted by one, is not missing.
func TestAbsentOptionalDoubt(t *testing.T) {
	s := newShelf(t)
	name := "metadata/2.root.json"
	s.put(t, name, []byte("root"))
	lacks := s.serve(t, faultserver.Rule{Fault: faultserver.Status(404, 0)})
	for what, tt := range map[string]struct {
		mirrors []string
		is      error
	}{
		"dead":                  {[]string{"http://127.0.0.1:1"}, ErrUnreachable},
		"401":                   {[]string{s.serve(t, faultserver.Rule{Fault: faultserver.Status(401, 0)}).URL}, ErrDenied},
		"404 and another file":  {[]string{lacks.URL, s.dir}, mirror.ErrDamaged},
		"a file that is no one": {[]string{s.dir}, mirror.ErrDamaged},
	} {
		o := quick()
		o.Retries = 1
		err := testClient(t, o, tt.mirrors...).FetchOptional(t.Context(), name, 1000, func([]byte) error { return errors.New("forged") })
		if !errors.Is(err, tt.is) || errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v, want %v", what, err, tt.is)
		}
	}
}

// TestAbsences: a server that sends other files lacks what it denies; one that denies everything
// refuses.
func TestAbsences(t *testing.T) {
	s := newShelf(t)
	s.put(t, mirror.TimestampPath, []byte("{}"))
	for kind, fault := range absences {
		for _, r := range s.readings() {
			t.Run(kind+"/"+r.kind, func(t *testing.T) {
				srv := s.serve(t, faultserver.Rule{Path: r.name, Fault: fault})
				err := r.do(t.Context(), testClient(t, quick(), srv.URL))
				wantSentinel(t, err, ErrMissing, r.name)
				if errors.Is(err, mirror.ErrNowhere) || errors.Is(err, ErrUnreachable) {
					t.Errorf("%v says more", err)
				}

				// A token that expires while the client works is no missing file.
				c := testClient(t, quick(), srv.URL)
				if err := c.FetchLatest(t.Context(), mirror.TimestampPath, 100, func([]byte) error { return nil }); err != nil {
					t.Fatal(err)
				}
				srv.Clear()
				srv.Add(faultserver.Rule{Fault: faultserver.Status(403, 0)})
				err = r.do(t.Context(), c)
				wantSentinel(t, err, ErrDenied, srv.URL)
				if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrMissing) {
					t.Errorf("403 for everything: %v", err)
				}
			})
		}
	}
}

// TestAdmittedOnce: a server that denies many files is asked once whether it sends anything.
func TestAdmittedOnce(t *testing.T) {
	s := newShelf(t)
	s.put(t, mirror.TimestampPath, []byte("{}"))
	srv := s.serve(t)
	srv.Add(faultserver.Rule{Path: s.name, Fault: faultserver.Status(403, 0)})
	c := testClient(t, quick(), srv.URL)
	for range 4 {
		_, err := readRange(t.Context(), c, s.name, 10, 20)
		wantSentinel(t, err, ErrMissing, s.name)
	}
	if n := c.Stats().Requests; n != 5 {
		t.Errorf("%d requests for 4 files that are denied", n)
	}
	c.Close()
}

// TestNoMirror: what is said of an address with nothing of a mirror.
func TestNoMirror(t *testing.T) {
	s := newShelf(t)
	lacks := s.serve(t, faultserver.Rule{Fault: faultserver.Status(404, 0)})
	empty := t.TempDir()
	pointer := func(ctx context.Context, c *Client) error {
		_, err := c.Pointer(ctx, "stable")
		return err
	}
	for _, tt := range []struct {
		mirrors []string
		want    string
		is      error
	}{
		{[]string{lacks.URL + "/wrong?token=secret"}, "there is no mirror at " + lacks.URL + "/wrong: neither metadata/timestamp.json nor channels/stable.json is there", ErrMissing},
		{[]string{lacks.URL, empty}, "there is no mirror at " + lacks.URL + ", nor at " + empty + ": neither", ErrMissing},
		{[]string{"/nosuch/os"}, "there is no mirror at /nosuch/os: no such folder", fs.ErrNotExist},
		{[]string{"/nosuch/os", "mirror.example/os"}, "there is no mirror at /nosuch/os: no such folder, nor at mirror.example/os: no such folder (an address on the network begins with https://)", fs.ErrNotExist},
	} {
		err := pointer(t.Context(), testClient(t, quick(), tt.mirrors...))
		wantSentinel(t, err, mirror.ErrNowhere, tt.want)
		if !errors.Is(err, tt.is) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%v is not %v, or tells too much", err, tt.is)
		}
	}
	// A folder that is not mounted beside a server that does not answer is no wrong argument.
	o := quick()
	o.Retries = -1
	err := pointer(t.Context(), testClient(t, o, "/nosuch/os", "http://127.0.0.1:1"))
	wantSentinel(t, err, ErrUnreachable, "no such folder")
}

// TestAddressWithoutScheme tells what is meant for an address from a folder.
func TestAddressWithoutScheme(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("10.0.0.1:80", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"127.0.0.1:8080/os", "host:80", "localhost/os", "[::1]:8080/os", "[::1]", "http:/host/os", "https:host", "HTTP:/host", "user:secret@host:80/os?token=secret"} {
		_, err := New([]string{m}, Options{})
		if err == nil || !strings.Contains(err.Error(), "http://") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", m, err)
		}
	}
	for _, m := range []string{"10.0.0.1:80", "/a:80/b", "./host:80", "mirror", "mirror.example/os", "a:b/c", "../x", "localhosts"} {
		if _, err := New([]string{m}, Options{}); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
}

// TestPages: a page in a file's place is called one, with the address that it is at and where it
// comes from.
func TestPages(t *testing.T) {
	s := newShelf(t)
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page(200)(w, r, nil) }))
	defer portal.Close()
	for kind, fault := range map[string]faultserver.Fault{
		"200":            page(200),
		"without a type": faultserver.Replace([]byte("\n<html><body>Please log in</body></html>" + strings.Repeat(" ", 300_000))),
		"of another host": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, portal.URL+"/login?from=secret", http.StatusFound)
		},
	} {
		for _, r := range s.readings()[1:] {
			t.Run(kind+"/"+r.kind, func(t *testing.T) {
				srv := s.serve(t, faultserver.Rule{Fault: fault})
				err := r.do(t.Context(), testClient(t, quick(), srv.URL))
				wantSentinel(t, err, ErrPage, srv.URL)
				wantSentinel(t, err, mirror.ErrDamaged, r.name)
				if from := strings.TrimPrefix(portal.URL, "http://"); strings.Contains(fmt.Sprint(err), from) != (kind == "of another host") || strings.Contains(fmt.Sprint(err), "secret") {
					t.Errorf("%v does not say where the page comes from", err)
				}
			})
		}
	}
	// What a server calls a page may be none: it is read to its last byte.
	srv := s.serve(t, faultserver.Rule{Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
		faultserver.Header("Content-Type", "text/html")(w, r, next)
	}})
	for _, r := range s.readings() {
		if err := r.do(t.Context(), testClient(t, quick(), srv.URL)); err != nil {
			t.Errorf("%s called a page: %v", r.kind, err)
		}
	}
}
