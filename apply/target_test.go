package apply_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror/client"
	"deltaup/mirror/serve"
	"deltaup/slotboot"
)

// target is one machine with its slot and its state folder, and the server that it pulls from.
type target struct {
	t      testing.TB
	w      *world
	server *faultserver.Server
	urls   []string // default: the server
	seeds  []string // default: a copy of version 1's image
	path   string   // of the slot
	state  string
	wrap   func(*slotboot.File) apply.SizedStorage // what becomes of the slot; nil: nothing
	with   func(*apply.Request)                    // last changes; may be nil

	warnings []string
	before   chunkstore.ID // of the seed
}

func newTarget(t testing.TB) *target { return newTargetOf(t, newWorld(t)) }

func newTargetOf(t testing.TB, w *world) *target {
	t.Helper()
	dir := t.TempDir()
	m := &target{
		t: t, w: w, server: faultserver.New(t, serve.Handler(w.mirror)),
		path: filepath.Join(dir, "slot"), state: filepath.Join(dir, "state"),
		seeds: []string{filepath.Join(dir, "seed")},
	}
	m.urls = []string{m.server.URL}
	if err := os.WriteFile(m.seeds[0], readFile(t, w.image[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	m.before = chunkstore.Sum(readFile(t, m.seeds[0]))
	seed := m.seeds[0]
	t.Cleanup(func() {
		if chunkstore.Sum(readFile(t, seed)) != m.before {
			t.Error("the seed was changed")
		}
	})
	return m
}

// take makes the target go by one route: "blocks"; "beside", which is blocks that are laid while
// they are fetched; "whole", for want of a seed; or another, which is the best one otherwise.
func (m *target) take(route string) {
	m.with = func(r *apply.Request) {}
	switch route {
	case "blocks":
		m.with = func(r *apply.Request) { r.Route = "blocks" }
	case "beside":
		m.with = func(r *apply.Request) { r.Route, r.Line = "blocks", fast }
	case "whole":
		m.seeds = nil
		m.with = func(r *apply.Request) { r.Route = "whole" }
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start prepares a pull; done closes what it opened.
func (m *target) start() (u *apply.Update, done func(), err error) {
	m.t.Helper()
	reader, err := client.New(m.urls, client.Options{
		Timeout: 700 * time.Millisecond, Retries: 2, RetryDelay: time.Millisecond,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	slot, err := slotboot.Open(m.path, slotboot.Options{})
	if err != nil {
		return nil, nil, err
	}
	r := apply.Request{
		Client: reader, Channel: "stable", Seeds: m.seeds, Slot: slot, StateDir: m.state,
		CPU: delta.CPU{Scan: 1}, // as steady has it
		Events: func(e apply.Event) {
			if e.Warning != "" {
				m.warnings = append(m.warnings, e.Warning)
				if strings.Contains(e.Warning, "\n") {
					m.t.Errorf("a warning of several lines: %q", e.Warning)
				}
			}
		},
	}
	if m.wrap != nil {
		r.Slot = m.wrap(slot)
	}
	if m.with != nil {
		m.with(&r)
	}
	u, err = apply.Prepare(m.t.Context(), r)
	if err != nil {
		slot.Close()
		return nil, nil, err
	}
	return u, func() {
		if err := errors.Join(u.Close(), slot.Close()); err != nil {
			m.t.Error(err)
		}
	}, nil
}

func (m *target) pull() (apply.Quote, apply.Result, error) {
	m.t.Helper()
	u, done, err := m.start()
	if err != nil {
		return apply.Quote{}, apply.Result{}, err
	}
	defer done()
	result, err := u.Run(m.t.Context())
	return u.Quote(), result, err
}

// mustPull pulls and checks that the slot then holds version 2's image.
func (m *target) mustPull() (apply.Quote, apply.Result) {
	m.t.Helper()
	q, r, err := m.pull()
	if err != nil {
		m.t.Fatalf("pull: %v", err)
	}
	m.checkSlot(m.w.image[1])
	return q, r
}

func (m *target) checkSlot(image string) {
	m.t.Helper()
	want := readFile(m.t, image)
	got := readFile(m.t, m.path)
	if len(got) > len(want) {
		got = got[:len(want)] // a device may be larger
	}
	if !bytes.Equal(got, want) {
		m.t.Fatal("the slot does not hold the published image")
	}
}

// checkUnbootable checks that a failed pull left nothing that could be mounted.
func (m *target) checkUnbootable() {
	m.t.Helper()
	f, err := os.Open(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		m.t.Fatal(err)
	}
	if !bytes.Equal(head[:n], make([]byte, n)) {
		m.t.Error("the slot has a superblock after a failed pull")
	}
}

var (
	// thin is a line on which patches win, fast one on which stored blocks do.
	thin = delta.Line{Rate: 125e3, RTT: 50 * time.Millisecond}
	fast = delta.Line{Rate: 125e6, RTT: time.Millisecond}
	// steady stands for the machine at hand: which way wins must not hang on how busy that is. Its
	// seeds lie on a slow disk, so that blocks are for the tests that ask for them.
	steady = delta.CPU{Compress: 60e6, Decode: 200e6, Patch: 25e6, Write: 800e6, Scan: 1}
	// slowCPU makes compressing dear.
	slowCPU = delta.CPU{Compress: 1e6, Decode: 400e6, Patch: 10e6, Write: 400e6}
)

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
