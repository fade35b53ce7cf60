package apply_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/slotboot"
)

// TestFaults lets the server answer wrongly for each kind of file of the mirror, for good. The pull
// ends with the error for that, or gets by; seed and slot are safe; and once the cause is gone the
// same pull completes.
func TestFaults(t *testing.T) {
	kinds := []string{"channels/", "releases/", "recipes/", "indexes/", "packs/", "images/"}
	faults := []struct {
		name  string
		fault faultserver.Fault
		want  error // nil: it gets by
	}{
		{"404", faultserver.Status(404, 0), client.ErrMissing},
		{"416", faultserver.Status(416, 0), mirror.ErrDamaged},
		{"500", faultserver.Status(500, 0), client.ErrUnreachable},
		{"flipped byte", faultserver.Flip(60), mirror.ErrDamaged},
		{"truncated file", faultserver.Shorten(50), mirror.ErrDamaged},
		{"empty file", faultserver.Shorten(0), mirror.ErrDamaged},
		{"cut at once", faultserver.Cut(0), client.ErrUnreachable},
		{"reset", faultserver.ResetConnection(100 << 10), errAny}, // most tries bring some bytes
		{"length too small", faultserver.ContentLength(-10), errAny},
		{"length too large", faultserver.ContentLength(10), errAny},
		{"no ranges", faultserver.NoRanges(), nil},
		{"stall", faultserver.Stall(-1), client.ErrUnreachable},
		{"other file", faultserver.Replace([]byte("<html>Please log in</html>")), mirror.ErrDamaged},
		{"endless", faultserver.Endless(), errAny},
	}
	for _, kind := range kinds {
		for _, f := range faults {
			t.Run(strings.TrimSuffix(kind, "/")+"/"+f.name, func(t *testing.T) {
				if testing.Short() && f.name == "stall" && kind != "packs/" {
					t.Skip("waits for timeouts")
				}
				t.Parallel()
				m := newTarget(t)
				// chunks, however busy this machine is
				m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
				if kind == "images/" {
					m.seeds = nil
				}
				want := f.want
				if kind == "images/" && (want == client.ErrMissing || want == mirror.ErrDamaged) {
					want = nil // the chunks are there
				}
				m.server.Add(faultserver.Rule{Path: kind, Fault: f.fault})
				_, _, err := m.pull()
				checkFault(t, m, kind, err, want)
				m.server.Clear()
				m.mustPull()
			})
		}
	}
}

// errAny stands for any outcome with a clear error, and for success.
var errAny = errors.New("any")

func checkFault(t *testing.T, m *target, kind string, err, want error) {
	t.Helper()
	if err == nil {
		if want != nil && want != errAny {
			t.Errorf("the pull succeeded, want %v", want)
		}
		m.checkSlot(m.w.image[1])
		return
	}
	switch {
	case want == nil:
		t.Errorf("the pull failed: %v", err)
	case want == errAny:
		if !errors.Is(err, mirror.ErrDamaged) && !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("got %v, want damaged or unreachable", err)
		}
	case !errors.Is(err, want):
		t.Errorf("got %v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), kind) || !strings.Contains(err.Error(), m.server.URL) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the message is not one line that names %s and the server: %v", kind, err)
	}
	m.checkUnbootable()
}

// TestPassingFaults: what happens once costs a retry and no byte twice.
func TestPassingFaults(t *testing.T) {
	for name, fault := range map[string]faultserver.Fault{
		"500":   faultserver.Status(503, 0),
		"cut":   faultserver.Cut(30 << 10),
		"stall": faultserver.Stall(30 << 10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTarget(t)
			m.server.Add(faultserver.Rule{Path: "packs/", Nth: 1, Fault: fault})
			q, r := m.mustPull()
			// The server may have handed out bytes that never arrived; the client's count is what
			// came.
			if want := q.Bytes + q.MetaBytes; r.BytesFetched > want+100 {
				t.Errorf("%d bytes came, %d were needed", r.BytesFetched, want)
			}
		})
	}
}

// TestUnknownVersion: a later format of each file says so.
func TestUnknownVersion(t *testing.T) {
	later := []byte("{\n  \"format\": 99,\n  \"new\": true\n}\n")
	m := newTarget(t)
	m.server.Add(faultserver.Rule{Path: "channels/", Fault: faultserver.Replace(later)})
	if _, _, err := m.pull(); !errors.Is(err, chunkstore.ErrVersion) || !strings.Contains(err.Error(), "channels/stable.json") {
		t.Errorf("pointer: %v", err)
	}
	m.with = func(r *apply.Request) { r.Channel, r.Version = "", "2" }
	m.server.Clear()
	m.server.Add(faultserver.Rule{Path: "releases/", Fault: faultserver.Replace(later)})
	if _, _, err := m.pull(); !errors.Is(err, chunkstore.ErrVersion) || !strings.Contains(err.Error(), "releases/2.json") {
		t.Errorf("release: %v", err)
	}
	m.server.Clear()
	m.mustPull()
}

// TestSeedChanges overwrites the seed between quote and run.
func TestSeedChanges(t *testing.T) {
	for _, route := range []string{"chunks", "blocks", "beside"} {
		t.Run(route, func(t *testing.T) {
			m := newTarget(t)
			m.take(route)
			seed := filepath.Join(t.TempDir(), "changing")
			good := readFile(t, m.w.image[0])
			if err := os.WriteFile(seed, good, 0o644); err != nil {
				t.Fatal(err)
			}
			m.seeds = []string{seed}
			u, done, err := m.start()
			if err != nil {
				t.Fatal(err)
			}
			bad := append([]byte(nil), good...)
			for i := 96; i < len(bad)/2; i += 1000 {
				bad[i] ^= 0xff
			}
			if err := os.WriteFile(seed, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(t.Context())
			done()
			if !errors.Is(err, apply.ErrSeed) || !strings.Contains(err.Error(), seed) {
				t.Errorf("got %v, want ErrSeed with the seed's path", err)
			}
			m.checkUnbootable()

			if err := os.WriteFile(seed, good, 0o644); err != nil {
				t.Fatal(err)
			}
			if q, _ := m.mustPull(); q.Bytes != 0 {
				t.Errorf("%d bytes are fetched again", q.Bytes)
			}
		})
	}
}

// TestCorruptCache flips bytes of what an interrupted run left on disk.
func TestCorruptCache(t *testing.T) {
	for _, route := range []string{"chunks", "whole"} {
		t.Run(route, func(t *testing.T) {
			m := newTarget(t)
			m.take(route)
			interrupted(t, m)
			parts, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*", "*"))
			if err != nil || len(parts) == 0 {
				t.Fatalf("nothing was left in the state folder (%v)", err)
			}
			b := readFile(t, parts[0])
			b[len(b)/2] ^= 1
			if err := os.WriteFile(parts[0], b, 0o644); err != nil {
				t.Fatal(err)
			}
			_, r := m.mustPull()
			if r.Route != route || len(m.warnings) == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// interrupted fetches everything and fails when it comes to write the slot.
func interrupted(t *testing.T, m *target) {
	t.Helper()
	m.wrap = func(s *slotboot.File) apply.SizedStorage { return &brokenSlot{File: s, beginError: syscall.EIO} }
	if _, _, err := m.pull(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want EIO", err)
	}
	m.wrap = nil
}

// TestResume cuts the connection for good after some bytes, again and again.
func TestResume(t *testing.T) {
	for _, route := range []string{"chunks", "blocks", "beside", "whole"} {
		t.Run(route, func(t *testing.T) {
			m := newTarget(t)
			m.take(route)
			with := m.with
			m.with = func(r *apply.Request) { with(r); r.Parallel = 1 }
			var came, need int64
			for i := 0; ; i++ {
				if i > 200 {
					t.Fatal("no end")
				}
				m.server.Clear()
				// The first answer brings some bytes; then there is only silence.
				m.server.Add(
					faultserver.Rule{Path: "packs/", Nth: 1, Fault: faultserver.Cut(70 << 10)},
					faultserver.Rule{Path: "images/", Nth: 1, Fault: faultserver.Cut(1000 << 10)},
					faultserver.Rule{Path: "packs/", Fault: faultserver.Status(404, 0)},
					faultserver.Rule{Path: "images/", Fault: faultserver.Status(404, 0)})
				m.server.Reset()
				q, _, err := m.pull()
				if i == 0 {
					need = q.Bytes
				} else if q.Bytes != need-came {
					t.Fatalf("run %d: %d bytes are wanted of %d, after %d had come", i, q.Bytes, need, came)
				}
				came += m.server.BodyBytes("packs/") + m.server.BodyBytes("images/") - errorPages(m)
				if err == nil {
					break
				}
				if !errors.Is(err, client.ErrMissing) {
					t.Fatal(err)
				}
			}
			m.checkSlot(m.w.image[1])
			if came != need {
				t.Errorf("%d bytes came over all runs, %d were needed", came, need)
			}
		})
	}
}

// errorPages is how many bytes of bodies were error pages.
func errorPages(m *target) (n int64) {
	for _, r := range m.server.Log() {
		if r.Status >= 400 && (strings.HasPrefix(r.Path, "packs/") || strings.HasPrefix(r.Path, "images/")) {
			n += r.Body
		}
	}
	return n
}

// TestSlowLine checks that progress, however slow, is no reason to give up.
func TestSlowLine(t *testing.T) {
	m := newTarget(t)
	m.server.Add(faultserver.Rule{Path: "channels/", Fault: faultserver.Slow(200)})
	start := time.Now()
	m.mustPull()
	if took := time.Since(start); took < 700*time.Millisecond {
		t.Skipf("the pointer came within %v: nothing was slow", took)
	}
}

func TestKnownLineDecidesGaps(t *testing.T) {
	m := newTarget(t)
	m.with = func(r *apply.Request) { r.Line = delta.Line{Rate: 1e9, RTT: time.Second} }
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	dear := u.Quote().Requests
	done()
	m.with = func(r *apply.Request) { r.Line = delta.Line{Rate: 1000, RTT: time.Millisecond} }
	u, done, err = m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if cheap := u.Quote().Requests; cheap <= dear {
		t.Errorf("%d requests where they are cheap, %d where they are dear", cheap, dear)
	}
}
