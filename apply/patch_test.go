package apply_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/faultserver"
	"deltaup/mirror"
)

var (
	// thin is a line on which patches win, fast one on which stored blocks do.
	thin = delta.Line{Rate: 125e3, RTT: 50 * time.Millisecond}
	fast = delta.Line{Rate: 125e6, RTT: time.Millisecond}
	// steady stands for the machine at hand: which way wins must not hang on how busy that is.
	steady = delta.DefaultCPU
	// slowCPU makes compressing dear.
	slowCPU = delta.CPU{Compress: 1e6, Decode: 400e6, Patch: 10e6, Write: 400e6}
)

// patchedWorlds are worlds whose mirrors have patch sets, by their releases. They are made once.
var patchedWorlds struct {
	sync.Mutex
	made map[[2]int]*world
}

// patchedWorld publishes so many releases, each with sets from so many before it. Its images are the first and the last.
func patchedWorld(t testing.TB, releases, from int) *world {
	t.Helper()
	patchedWorlds.Lock()
	defer patchedWorlds.Unlock()
	key := [2]int{releases, from}
	if w := patchedWorlds.made[key]; w != nil {
		return w
	}
	dir, err := os.MkdirTemp("", "deltaup-patched")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, mirror: filepath.Join(dir, "mirror")}
	for version := 1; version <= releases; version++ {
		image, err := w.release(version, growing(version), mirror.Publication{PatchFrom: from, PackSize: 128 << 10})
		if err != nil {
			t.Fatal(err)
		}
		w.image[min(version-1, 1)] = image
	}
	if patchedWorlds.made == nil {
		patchedWorlds.made = map[[2]int]*world{}
	}
	patchedWorlds.made[key] = w
	return w
}

// growing is a system whose every version changes something: in large files, in small ones, by moving and by adding.
func growing(version int) map[string][]byte {
	files := map[string][]byte{}
	for i := range 4 {
		content := noise(uint64(i), 300<<10+i<<10)
		for v := 2; v <= version; v++ {
			if i == v%2 {
				copy(content[100<<10+v*3000:], noise(uint64(50+v), 500)) // changed in place
			}
		}
		files[fmt.Sprintf("usr/lib/lib%d.so", i)] = content
	}
	for i := range 60 {
		text := strings.Repeat(fmt.Sprintf("option %d of the service is documented here\n", i), 60)
		for v := 2; v <= version; v++ {
			if i%10 == v%10 {
				text += fmt.Sprintf("and changed in version %d\n", v)
			}
		}
		files[fmt.Sprintf("etc/service%d.conf", i)] = []byte(text)
	}
	files[fmt.Sprintf("usr/lib/libmoved.so.%d", version)] = noise(99, 200<<10)
	files[fmt.Sprintf("usr/share/new%d", version)] = noise(uint64(60+version), 9<<10)
	return files
}

// patched gives a target on a thin line.
func patched(t testing.TB, releases, from int) *target {
	m := newTargetOf(t, patchedWorld(t, releases, from))
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	return m
}

// checkExact checks that the server sent what was quoted, to the byte and the request.
func checkExact(t *testing.T, m *target, q apply.Quote, r apply.Result) {
	t.Helper()
	if sent := m.server.BodyBytes(""); sent != q.Bytes+q.MetaBytes || sent != r.BytesFetched {
		t.Errorf("the server sent %d bytes, quoted were %d+%d, the result has %d", sent, q.Bytes, q.MetaBytes, r.BytesFetched)
	}
	if n := m.server.Requests(""); n != q.Requests+q.MetaRequests || n != r.Requests {
		t.Errorf("%d requests, quoted were %d+%d, the result has %d", n, q.Requests, q.MetaRequests, r.Requests)
	}
	if r.Route != q.Route {
		t.Errorf("route %s was quoted, %s taken", q.Route, r.Route)
	}
	if len(m.warnings) > 0 {
		t.Errorf("warnings: %q", m.warnings)
	}
}

// TestPatch pulls through one set: pointer, release, head, groups, and nothing else.
func TestPatch(t *testing.T) {
	m := patched(t, 2, 1)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 1 || r.BlocksCopied == 0 || q.MetaRequests+q.Requests > 4 {
		t.Errorf("quote %+v, result %+v", q, r)
	}
	for _, kind := range []string{"packs/", "recipes/", "indexes/", "images/", "blockmaps/"} {
		if n := m.server.Requests(kind); n > 0 {
			t.Errorf("%d requests for %s", n, kind)
		}
	}
	for _, a := range q.Alternatives {
		if a.Chosen != (a.Route == delta.RoutePatch) || a.Chosen == (a.Why != "") || a.Requests == 0 && a.Bytes > 0 {
			t.Errorf("alternative %+v", a)
		}
	}
	if left, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the state folder: %v (%v)", left, err)
	}
}

// TestRoutes takes each route and checks that its quote is exact.
func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		route string
		with  func(r *apply.Request)
		seeds bool
	}{
		{"patch", func(r *apply.Request) { r.Line, r.CPU = thin, steady }, true},
		{"patch", func(r *apply.Request) { r.Line, r.CPU, r.Optimize = fast, slowCPU, delta.ForBytes }, true},
		{"blocks", func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }, true},
		{"whole", func(r *apply.Request) { r.Line, r.CPU = thin, steady }, false},
		{"whole", func(r *apply.Request) { r.Line, r.CPU = delta.Line{Rate: 1e12, RTT: time.Nanosecond}, slowCPU }, true},
	} {
		t.Run(tt.route, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.with = tt.with
			if !tt.seeds {
				m.seeds = nil
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			if q.Route != tt.route {
				t.Errorf("route %s, want %s: %+v", q.Route, tt.route, q.Alternatives)
			}
			if tt.route == "blocks" && (r.BlocksCompressed > 0 || m.server.Requests("packs/") > 0) {
				t.Errorf("result %+v: want nothing compressed", r)
			}
		})
	}
	t.Run("chunks", func(t *testing.T) {
		m := newTarget(t)
		q, r := m.mustPull()
		checkExact(t, m, q, r)
		if q.Route != "chunks" {
			t.Errorf("route %s: %+v", q.Route, q.Alternatives)
		}
	})
}

// TestSeedOfRelease: a seed that is the release needs nothing of the mirror but its name.
func TestSeedOfRelease(t *testing.T) {
	m := patched(t, 2, 1)
	m.seeds = append(m.seeds, m.w.image[1])
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Bytes != 0 || q.MetaRequests != 2 || r.BlocksCompressed != 0 {
		t.Errorf("quote %+v, result %+v: want all copied", q, r)
	}
}

// TestChain goes from the first to the fourth release through the sets of all between.
func TestChain(t *testing.T) {
	m := patched(t, 4, 1)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 3 {
		t.Errorf("route %s through %d sets: %+v", q.Route, q.Sets, q.Alternatives)
	}
	direct := patched(t, 4, 3)
	d, r := direct.mustPull()
	checkExact(t, direct, d, r)
	if d.Route != "patch" || d.Sets != 1 {
		t.Errorf("route %s through %d sets: %+v", d.Route, d.Sets, d.Alternatives)
	}
}

// TestBrokenChain: sets or releases on the way that are missing or damaged.
func TestBrokenChain(t *testing.T) {
	for name, rule := range map[string]faultserver.Rule{
		"no set":       {Path: "patches/", Nth: 2, Fault: faultserver.Status(404, 0)},
		"no release":   {Path: "releases/3.json", Fault: faultserver.Status(404, 0)},
		"bad release":  {Path: "releases/2.json", Fault: faultserver.Flip(60)},
		"no recipe":    {Path: "recipes/", Nth: 1, Fault: faultserver.Status(404, 0)},
		"bad set":      {Path: "patches/", Fault: faultserver.Flip(20)},
		"other answer": {Path: "patches/", Fault: faultserver.Replace([]byte("<html>Please log in</html>"))},
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 4, 1)
			m.server.Add(rule)
			_, r := m.mustPull()
			if r.Route == "patch" || len(m.warnings) == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// TestSetFaults: whatever is wrong with a set, the pull completes without it, and says so.
func TestSetFaults(t *testing.T) {
	for name, fault := range map[string]faultserver.Fault{
		"missing":   faultserver.Status(404, 0),
		"416":       faultserver.Status(416, 0),
		"empty":     faultserver.Shorten(0),
		"short":     faultserver.Shorten(1000),
		"other":     faultserver.Replace([]byte("<html>Please log in</html>")),
		"head":      faultserver.Flip(100),
		"version":   faultserver.Flip(8),
		"last byte": faultserver.Flip(-1),
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 2, 1)
			if name == "last byte" {
				fault = faultserver.Flip(setSize(t, m.w) - 1)
			}
			m.server.Add(faultserver.Rule{Path: "patches/", Fault: fault})
			_, r := m.mustPull()
			if len(m.warnings) == 0 || m.server.Requests("packs/")+m.server.Requests("images/") == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
			for _, w := range m.warnings {
				if strings.Contains(w, "\n") {
					t.Errorf("a warning of several lines: %q", w)
				}
			}

			// Another mirror has it in good order.
			m = patched(t, 2, 1)
			bad := faultserver.New(t, mirror.Handler(m.w.mirror))
			bad.Add(faultserver.Rule{Path: "patches/", Fault: fault})
			m.urls = []string{bad.URL, m.server.URL}
			if _, r := m.mustPull(); r.Route != "patch" || m.server.Requests("packs/")+bad.Requests("packs/") > 0 {
				t.Errorf("with a second mirror: route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// sets lists the files of a mirror's sets.
func sets(t testing.TB, w *world) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.mirror, "patches", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("sets %v (%v)", files, err)
	}
	return files
}

func setSize(t testing.TB, w *world) int64 {
	t.Helper()
	return int64(len(readFile(t, sets(t, w)[0])))
}

// TestEveryByteOfASet flips each byte of a small set.
func TestEveryByteOfASet(t *testing.T) {
	dir := t.TempDir()
	w := &world{dir: dir, mirror: filepath.Join(dir, "mirror")}
	for i := range w.image {
		files := map[string][]byte{
			"etc/motd": []byte(strings.Repeat("all the same ", 2000) + fmt.Sprintf("but for %d", i)),
			"usr/bin":  noise(1, 90<<10),
			"usr/new":  noise(uint64(i), 60),
		}
		image, err := w.release(i+1, files, mirror.Publication{PatchFrom: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.image[i] = image
	}
	m := newTargetOf(t, w)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	size, step := setSize(t, w), int64(1)
	if testing.Short() {
		step = 41
	}
	t.Logf("a set of %d bytes", size)
	for at := int64(0); at < size; at += step {
		m.server.Clear()
		m.server.Reset()
		m.warnings = nil
		if err := errors.Join(os.Remove(m.path), os.RemoveAll(m.state)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Flip(at)})
		m.mustPull()
		if len(m.warnings) == 0 || m.server.Requests("patches/") == 0 {
			t.Fatalf("byte %d: warnings %q, %d requests for sets", at, m.warnings, m.server.Requests("patches/"))
		}
	}
}

// TestCorruptCachedSet flips a byte of what an interrupted run left of a set.
func TestCorruptCachedSet(t *testing.T) {
	for _, where := range []string{"head", "groups"} {
		t.Run(where, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.with = func(r *apply.Request) { r.Line, r.CPU = delta.Line{Rate: 125e3, RTT: time.Microsecond}, steady } // no set is fetched whole
			interrupted(t, m)
			parts, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*", "*"))
			if err != nil || len(parts) != 2 {
				t.Fatalf("parts %q (%v), want head and groups", parts, err)
			}
			for _, p := range parts {
				if (filepath.Base(p) == "0") == (where == "head") {
					b := readFile(t, p)
					b[len(b)/2] ^= 1
					if err := os.WriteFile(p, b, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, r := m.mustPull(); r.Route != "patch" || m.server.Requests("packs/") > 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// TestResumeSet cuts the connection in the middle of a set, again and again.
func TestResumeSet(t *testing.T) {
	m := patched(t, 2, 1)
	m.with = func(r *apply.Request) { r.Line, r.Parallel = delta.Line{Rate: 125e3, RTT: time.Microsecond}, 1 }
	var came int64
	for i := 0; ; i++ {
		if i > 200 {
			t.Fatal("no end")
		}
		m.server.Clear()
		m.server.Add(
			faultserver.Rule{Path: "patches/", Nth: 1, Fault: faultserver.Cut(3000)},
			faultserver.Rule{Path: "patches/", Fault: faultserver.Status(503, 0)})
		m.server.Reset()
		_, _, err := m.pull()
		for _, r := range m.server.Log() {
			if strings.HasPrefix(r.Path, "patches/") && r.Status < 400 {
				came += r.Body
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, mirror.ErrUnreachable) {
			t.Fatal(err)
		}
		m.checkUnbootable()
	}
	m.checkSlot(m.w.image[1])
	if size := setSize(t, m.w); came != size {
		t.Errorf("%d bytes came over all runs, the set has %d", came, size)
	}
}

// TestWrongBase changes a file of the seed after it was read: a patch of it then gives other bytes.
func TestWrongBase(t *testing.T) {
	m := patched(t, 2, 1)
	seed := filepath.Join(t.TempDir(), "changing")
	b := readFile(t, m.w.image[0])
	m.seeds = []string{seed}
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if q := u.Quote(); q.Route != "patch" {
		t.Fatalf("route %s", q.Route)
	}
	// Noise is stored as it is. Shortly before the change, so that the patch copies it and the new chunk holds it.
	lib := growing(1)["usr/lib/lib0.so"]
	at := bytes.Index(b, lib[100<<10:100<<10+64])
	if at < 0 {
		t.Fatal("the library's bytes are not in the image")
	}
	b[at+6000-10] ^= 1
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := u.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.checkSlot(m.w.image[1])
	if len(m.warnings) == 0 || m.server.Requests("packs/") == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}

// TestDamagedSeed: a seed that cannot be read in places is not what a set leads from.
func TestDamagedSeed(t *testing.T) {
	m := patched(t, 2, 1)
	seed := filepath.Join(t.TempDir(), "damaged")
	b := readFile(t, m.w.image[0])
	lib := growing(1)["usr/lib/lib3.so"]
	at := bytes.Index(b, lib[:64])
	if at < 0 {
		t.Fatal("the library's bytes are not in the image")
	}
	b[at+5] ^= 1
	m.seeds = []string{seed}
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, r := m.mustPull(); r.Route == "patch" {
		t.Errorf("route %s through a set from another release", r.Route)
	}
}

// TestBlockFaults: stored blocks that are damaged for good leave the other routes.
func TestBlockFaults(t *testing.T) {
	damaged := readFile(t, patchedWorld(t, 2, 1).image[1])
	for i := 100; i < len(damaged); i += 1000 {
		damaged[i] ^= 1
	}
	for name, rule := range map[string]faultserver.Rule{
		"no block map":    {Path: "blockmaps/", Fault: faultserver.Status(404, 0)},
		"other block map": {Path: "blockmaps/", Fault: faultserver.Flip(20)},
		"no image":        {Path: "images/", Fault: faultserver.Status(404, 0)},
		"damaged once":    {Path: "images/", Nth: 1, Fault: faultserver.Replace(damaged)},
		"damaged":         {Path: "images/", Fault: faultserver.Replace(damaged)},
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
			m.server.Add(rule)
			_, r := m.mustPull()
			if len(m.warnings) == 0 || (r.Route == "blocks") != (name == "damaged once") {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}
