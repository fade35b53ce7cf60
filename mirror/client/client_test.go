package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/mirrortest"
	"deltaup/mirror"
	"deltaup/mirror/serve"
)

// shelf is a mirror with one file of each kind that the client treats differently.
type shelf struct {
	dir     string
	pack    []byte
	name    string        // of the pack
	object  mirror.Object // the pack as one object
	release *mirror.Release
	relObj  mirror.Object
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{dir: t.TempDir(), pack: make([]byte, 200_000)}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range s.pack {
		s.pack[i] = byte(random.Uint32())
	}
	s.object = mirror.Object{ID: chunkstore.Sum(s.pack), Size: int64(len(s.pack))}
	s.name = mirror.PackPath(s.object.ID)
	s.put(t, s.name, s.pack)

	s.release = &mirror.Release{
		Format: 1, Version: "1.0+a~b",
		Artifacts: []mirror.Artifact{{Name: "kernel", Kind: mirror.KindRaw, Object: s.object}},
		Index:     mirror.Object{ID: chunkstore.Sum([]byte("index")), Size: 5},
	}
	b, err := s.release.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s.relObj = mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
	s.put(t, mirror.ReleasePath(s.release.Version), b)
	p, err := mirror.Pointer{Channel: "stable", Version: s.release.Version, Release: s.relObj}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, mirror.PointerPath("stable"), p)
	return s
}

func (s *shelf) put(t testing.TB, name string, b []byte) {
	t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *shelf) serve(t testing.TB, rules ...faultserver.Rule) *faultserver.Server {
	t.Helper()
	f := faultserver.New(t, serve.Handler(s.dir))
	f.Add(rules...)
	return f
}

// quick are options that make failures fail soon; what does not stall has ample time.
func quick() Options {
	return Options{Timeout: 20 * time.Second, RetryDelay: time.Millisecond}
}

func testClient(t testing.TB, o Options, mirrors ...string) *Client {
	t.Helper()
	c, err := New(mirrors, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readRange(ctx context.Context, c *Client, name string, offset, length int64) ([]byte, error) {
	r, err := c.ReadRange(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func TestRanges(t *testing.T) {
	s := newShelf(t)
	f := s.serve(t)
	fileURL := url.URL{Scheme: "file", Path: s.dir}
	for _, m := range []string{f.URL, f.URL + "/", s.dir, fileURL.String()} {
		c := testClient(t, quick(), m)
		sum := int64(0)
		for _, r := range [][2]int64{{0, 200_000}, {0, 1}, {199_999, 1}, {70_000, 65_537}, {5, 0}, {200_000, 0}} {
			got, err := readRange(t.Context(), c, s.name, r[0], r[1])
			if err != nil || !bytes.Equal(got, s.pack[r[0]:r[0]+r[1]]) {
				t.Errorf("%s: %v: %d bytes, %v", m, r, len(got), err)
			}
			sum += r[1]
		}
		if got := c.Stats(); got != (Stats{Requests: 4, BytesBody: sum}) {
			t.Errorf("%s: stats %+v, want 4 requests, %d bytes", m, got, sum)
		}
		for _, r := range [][2]int64{{-1, 1}, {0, -1}, {1 << 62, 1 << 62}} {
			if _, err := c.ReadRange(t.Context(), s.name, r[0], r[1]); err == nil {
				t.Errorf("%s: range %v is accepted", m, r)
			}
		}
		for _, r := range [][2]int64{{199_999, 2}, {200_000, 1}, {0, 1 << 60}} {
			_, err := readRange(t.Context(), c, s.name, r[0], r[1])
			wantSentinel(t, err, mirror.ErrDamaged, s.name)
			wantSentinel(t, err, chunkstore.ErrCorrupt, strings.TrimPrefix(m, "file://"))
		}
		if c.budget.reserved != 0 || c.active.Load() != 0 {
			t.Errorf("%s: %d bytes stay reserved, %d requests active", m, c.budget.reserved, c.active.Load())
		}
	}
	for _, r := range f.Log() {
		if r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("User-Agent") != "deltaup" {
			t.Fatalf("request headers: %v", r.Header)
		}
	}
}

// wantSentinel demands an error that is of a kind and names an object, in one line.
func wantSentinel(t *testing.T, err, is error, object string) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("error %v, want one that is %q", err, is)
		return
	}
	if !strings.Contains(err.Error(), object) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q does not name %s in one line", err, object)
	}
}

func TestMetadata(t *testing.T) {
	s := newShelf(t)
	for _, m := range []string{s.serve(t).URL, s.dir} {
		c := testClient(t, quick(), m)
		p, err := c.Pointer(t.Context(), "stable")
		if err != nil || p.Release != s.relObj || p.Version != s.release.Version {
			t.Fatalf("%s: pointer %+v, %v", m, p, err)
		}
		for _, want := range []*mirror.Object{nil, &s.relObj} {
			r, err := c.Release(t.Context(), p.Version, want)
			if err != nil || r.Version != s.release.Version || r.Artifacts[0].Object != s.object {
				t.Fatalf("%s: release %+v, %v", m, r, err)
			}
		}
		_, err = c.Pointer(t.Context(), "testing")
		wantSentinel(t, err, ErrMissing, "channels/testing.json")
		_, err = c.Release(t.Context(), "2", nil)
		wantSentinel(t, err, ErrMissing, "releases/2.json")
		_, err = c.Release(t.Context(), "../x", nil)
		wantSentinel(t, err, ErrMissing, "../x")
		_, err = c.Fetch(t.Context(), s.name, s.object, s.object.Size-1)
		wantSentinel(t, err, mirror.ErrDamaged, s.name)
		_, err = c.Fetch(t.Context(), s.name, mirror.Object{ID: s.object.ID}, 1)
		wantSentinel(t, err, mirror.ErrDamaged, s.name)
	}
}

// TestMisplaced has files under the names of others.
func TestMisplaced(t *testing.T) {
	s := newShelf(t)
	for from, to := range map[string]string{
		mirror.PointerPath("stable"):          mirror.PointerPath("other"),
		mirror.ReleasePath(s.release.Version): mirror.ReleasePath("2"),
	} {
		b, err := os.ReadFile(filepath.Join(s.dir, from))
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, to, b)
	}
	s.put(t, mirror.PointerPath("new"), []byte(`{"format": 2, "what": []}`))
	c := testClient(t, quick(), s.dir)
	_, err := c.Pointer(t.Context(), "other")
	wantSentinel(t, err, mirror.ErrDamaged, mirror.PointerPath("other"))
	for _, want := range []*mirror.Object{nil, &s.relObj} {
		_, err = c.Release(t.Context(), "2", want)
		wantSentinel(t, err, mirror.ErrDamaged, mirror.ReleasePath("2"))
	}
	_, err = c.Pointer(t.Context(), "new")
	wantSentinel(t, err, chunkstore.ErrVersion, mirror.PointerPath("new"))
}

func TestFolder(t *testing.T) {
	s := newShelf(t)
	if err := os.Mkdir(filepath.Join(s.dir, "packs", "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := testClient(t, quick(), s.dir)
	for name, is := range map[string]error{
		"packs/none":   ErrMissing,
		"packs/folder": mirror.ErrDamaged,
		"../outside":   ErrUnreachable,
	} {
		_, err := readRange(t.Context(), c, name, 0, 1)
		wantSentinel(t, err, is, name)
	}
	testFolderLinks(t, s)
	gone := filepath.Join(s.dir, "not", "mounted")
	_, err := readRange(t.Context(), testClient(t, quick(), gone), s.name, 0, 1)
	wantSentinel(t, err, mirror.ErrNowhere, gone)
	got, err := readRange(t.Context(), testClient(t, quick(), gone, s.dir), s.name, 10, 20)
	if err != nil || !bytes.Equal(got, s.pack[10:30]) {
		t.Errorf("second folder: %x, %v", got, err)
	}
}

// testFolderLinks: links are followed within the folder, which may be one itself, and not out of
// it.
func testFolderLinks(t *testing.T, s *shelf) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside")
	mirrortest.WriteFile(t, outside, []byte("outside"))
	front := filepath.Join(t.TempDir(), "front")
	mirrortest.LinkAll(t, filepath.Dir(front), map[string]string{"front": s.dir})
	mirrortest.LinkAll(t, s.dir, map[string]string{
		"packs/inside": filepath.Base(filepath.Dir(s.name)) + "/" + filepath.Base(s.name), "packs/out": outside, "out": filepath.Dir(outside),
		"packs/up": "../../outside", "packs/gone": "nothing", "packs/absolute": filepath.Join(s.dir, s.name), "packs/loop": "loop",
	})
	if err := syscall.Mkfifo(filepath.Join(s.dir, "packs/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := testClient(t, quick(), front)
	if got, err := readRange(t.Context(), c, "packs/inside", 10, 20); err != nil || !bytes.Equal(got, s.pack[10:30]) {
		t.Errorf("a link within the folder: %x, %v", got, err)
	}
	for name, is := range map[string]error{
		"packs/out": mirror.ErrDamaged, "out/outside": mirror.ErrDamaged, "packs/up": mirror.ErrDamaged, "packs/absolute": mirror.ErrDamaged, "packs/fifo": mirror.ErrDamaged,
		"packs/gone": ErrMissing, "packs/loop": ErrUnreachable,
	} {
		_, err := readRange(t.Context(), c, name, 0, 1)
		wantSentinel(t, err, is, name)
		if strings.Contains(fmt.Sprint(err), filepath.Dir(outside)) {
			t.Errorf("%v names the file", err)
		}
	}
}

func TestNewClientErrors(t *testing.T) {
	for _, m := range [][]string{
		nil, {""}, {"ftp://host/"}, {"http://"}, {"http:///x"}, {"file://host/x"}, {"file://"},
		{"http://user:secret@host:port/"}, {"http://user:sec%ret@host/"}, {"gopher://user:secret@host/"},
		{"ftp://host/os?token=secret"}, {"https://?token=secret"}, {"https:///os#secret"}, {"ftp://secret@host"}, {"file://host/x?secret"},
	} {
		_, err := New(m, Options{})
		if err == nil {
			t.Errorf("%q is accepted", m)
		} else if strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: the error has the password: %v", m, err)
		}
	}
}

// TestSecrets has a server that wants password and token, and looks for them in all texts.
func TestSecrets(t *testing.T) {
	s := newShelf(t)
	files := serve.Handler(s.dir)
	f := faultserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "box" || password != "hush hush" || r.URL.Query().Get("token") != "t0ken" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	}))
	f.Add(faultserver.Rule{Nth: 1, Fault: faultserver.Status(503, 0)}, faultserver.Rule{Nth: 2, Fault: faultserver.ResetConnection(10)})
	secret := func(host string) string { return "http://box:hush%20hush@" + host + "/?token=t0ken" }
	o := quick()
	var texts []string
	o.Log = func(e Event) { texts = append(texts, fmt.Sprint(e)) }
	host := strings.TrimPrefix(f.URL, "http://")
	got, err := readRange(t.Context(), testClient(t, o, secret(host)), s.name, 0, 100)
	if err != nil || !bytes.Equal(got, s.pack[:100]) {
		t.Fatalf("%x, %v", got, err)
	}
	o.Retries = -1
	_, err = readRange(t.Context(), testClient(t, o, secret("127.0.0.1:1")), s.name, 0, 100)
	wantSentinel(t, err, ErrUnreachable, "http://box:xxxxx@127.0.0.1:1/: ")
	if len(texts) < 2 {
		t.Errorf("%d events, want one for each fault", len(texts))
	}
	for _, text := range append(texts, err.Error()) {
		if strings.Contains(text, "hush") || strings.Contains(text, "t0ken") {
			t.Errorf("text with a secret: %s", text)
		}
	}
}

// TestPlusSign has the form of URL that object stores do not take for a space.
func TestPlusSign(t *testing.T) {
	uri := make(chan string, 1)
	f := faultserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { uri <- r.RequestURI }))
	o := quick()
	o.Retries = -1
	c := testClient(t, o, f.URL+"/base%20dir")
	_, err := c.Release(t.Context(), "1+2~3", &mirror.Object{Size: 1})
	if got := <-uri; err == nil || got != "/base%20dir/releases/1%2B2~3.json" {
		t.Errorf("asked for %s, %v", got, err)
	}
}

func TestCancel(t *testing.T) {
	s := newShelf(t)
	for _, at := range []int64{-1, 0, 1000} {
		f := s.serve(t, faultserver.Rule{Fault: faultserver.Stall(at)})
		ctx, cancel := context.WithCancel(t.Context())
		o := quick()
		o.Log = func(e Event) { t.Errorf("logged: %s", e.Text) }
		go func() {
			for f.BodyBytes("") < at || f.Requests("") == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		_, err := readRange(ctx, testClient(t, o, f.URL), s.name, 0, 2000)
		wantSentinel(t, err, context.Canceled, s.name)
		if n := f.Requests(""); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	}
}

// TestParallel reads many ranges at once from two mirrors that both fail now and then.
func TestParallel(t *testing.T) {
	s := newShelf(t)
	var rules []faultserver.Rule
	for n := 2; n < 40; n += 3 {
		rules = append(rules, faultserver.Rule{Nth: n, Fault: faultserver.Cut(int64(n * 100))})
		rules = append(rules, faultserver.Rule{Nth: n + 1, Fault: faultserver.Status(503, 0)})
	}
	c := testClient(t, quick(), s.serve(t, rules...).URL, s.serve(t, rules...).URL)
	var wg sync.WaitGroup
	for i := range int64(40) {
		wg.Go(func() {
			got, err := readRange(t.Context(), c, s.name, i*5000, 5000)
			if err != nil || !bytes.Equal(got, s.pack[i*5000:(i+1)*5000]) {
				t.Errorf("range %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); st.Retries == 0 || st.BytesBody != 200_000 || st.Requests != 40+st.Retries {
		t.Errorf("stats %+v", st)
	}
}
