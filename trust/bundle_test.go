package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mirror/folder"
	"deltaup/mirror/serve"
	"deltaup/trust"
)

// follower is a machine that asks a server for its channel's newest release.
func (s *site) follower(server *faultserver.Server) *target {
	s.t.Helper()
	m := s.newTarget()
	m.o.Channel = "stable"
	m.reads(server.URL)
	return m
}

// asks gives the names of what a server was asked for since the last time, sorted, but the next
// root and the timestamp, of which it demands one request each.
func asks(t testing.TB, server *faultserver.Server) (names []string) {
	t.Helper()
	polls := 0
	for _, r := range server.Log() {
		if r.Path == mirror.TimestampPath || strings.HasSuffix(r.Path, ".root.json") {
			polls++
			continue
		}
		names = append(names, r.Path)
	}
	if polls != 2 {
		t.Errorf("%d requests for the next root and the timestamp", polls)
	}
	server.Reset()
	slices.Sort(names)
	return names
}

// TestBundle follows what a machine asks for in the life of a mirror.
func TestBundle(t *testing.T) {
	s := newSite(t, nil)
	server := faultserver.New(t, serve.Handler(s.dir))
	m := s.follower(server)
	poll := func(what, version string, wants ...string) {
		t.Helper()
		m.wants(version)
		if got := asks(t, server); !slices.Equal(got, wants) {
			t.Errorf("%s: asks for %q, not %q", what, got, wants)
		}
		s.must(trust.Check(t.Context(), folder.At(s.dir)))
	}
	s.publish("1", "stable", trust.Info{})
	poll("the first release", "1", "metadata/2.stable.bundle")
	poll("nothing new", "1")
	s.refresh()
	poll("another timestamp", "1")
	s.publish("2", "stable", trust.Info{})
	poll("a release", "2", "metadata/3.stable.bundle")
	s.publish("3", "testing", trust.Info{})
	poll("a release of another channel", "2", "metadata/4.snapshot.json", "metadata/4.targets.json")
	s.rotate(trust.Change{Role: "snapshot"})
	m.wants("2")
	asks := func() { server.Reset() } // the new root costs one more request
	asks()
	s.rotate(trust.Change{Role: "timestamp"})
	m.wants("2")
	asks()
	s.publish("3", "stable", trust.Info{})
	poll("a promoted release", "3", "metadata/6.stable.bundle")
	s.now = s.now.Add(50 * 24 * time.Hour)
	s.refresh()
	poll("another snapshot", "3", "metadata/7.snapshot.json")
	s.publish("2", "stable", trust.Info{})
	poll("an older release", "2", "metadata/8.stable.bundle")

	m.o.State, m.o.Root = t.TempDir(), s.root()
	m.o.Channel = ""
	poll("a release by its version", "2", "metadata/6.targets.json", "metadata/8.snapshot.json")
	m.o.State = t.TempDir()
	m.o.Channel = "nightly"
	r, err := m.refresh()
	s.must(err)
	if _, err := r.Newest("nightly"); !errors.Is(err, trust.ErrUnknown) {
		t.Errorf("a channel that is not there: %v", err)
	}
}

// TestBundleCost: a bundle saves requests, and bytes too.
func TestBundleCost(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	server := faultserver.New(t, serve.Handler(s.dir))
	cost := func(channel string) (requests int, bytes int64) {
		m := s.follower(server)
		m.o.Channel = channel
		server.Reset()
		before := server.WireBytes()
		r, err := m.refresh()
		s.must(err)
		rel, err := r.Newest("stable")
		s.must(err)
		if r.Bundled(mirror.ReleasePath("1")) == nil {
			_, err = m.o.Client.ReleaseFile(t.Context(), rel.Version, rel.File)
			s.must(err)
		}
		return len(server.Log()), server.WireBytes() - before
	}
	n, b := cost("")
	with, bWith := cost("stable")
	t.Logf("%d requests and %d bytes without, %d and %d with a bundle", n, b, with, bWith)
	if n != 5 || with != 3 || bWith > b {
		t.Errorf("%d requests and %d bytes without, %d and %d with a bundle", n, b, with, bWith)
	}
}

// TestBundleFaults: whatever a mirror sends in the place of a bundle, the machine trusts what it
// would trust without, and asks for the bundle once, unless a line broke.
func TestBundleFaults(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	old := readFile(t, s.dir, "metadata/2.stable.bundle")
	s.publish("2", "stable", trust.Info{})
	const name = "metadata/3.stable.bundle"
	good := readFile(t, s.dir, name)
	members, err := mirror.ParseBundle(good)
	s.must(err)
	thief := s.thief()
	thief.publish("3", "stable", trust.Info{})
	evil, err := mirror.ParseBundle(readFile(t, thief.dir, "metadata/4.stable.bundle"))
	s.must(err)
	// under names that are asked for, and as long as what is expected
	disguised := func(from mirror.Bundle) []byte {
		x := slices.Clone(members[:2])
		for i := range x {
			x[i].Bytes = from[i].Bytes
		}
		return marshal(t, x)
	}
	before, err := mirror.ParseBundle(old)
	s.must(err)
	for what, x := range map[string]struct {
		fault   faultserver.Fault
		extra   []string // files beside the bundle
		warns   bool
		retries bool
	}{
		"missing":             {fault: faultserver.Status(404, 0), extra: rest},
		"denied":              {fault: faultserver.Status(403, 0), extra: rest},
		"refused":             {fault: faultserver.Status(401, 0), extra: rest},
		"a page":              {fault: faultserver.Replace([]byte("<!DOCTYPE html><html>log in" + strings.Repeat(" ", 9000))), extra: rest, warns: true},
		"shorter":             {fault: faultserver.Shorten(10), extra: rest},
		"longer":              {fault: faultserver.Replace(append(bytes.Clone(good), make([]byte, 5000)...))},
		"endless":             {fault: faultserver.Endless()},
		"compressed":          {fault: faultserver.Header("Content-Encoding", "gzip"), extra: rest},
		"another range":       {fault: faultserver.Header("Content-Range", "bytes 1-9/10"), extra: rest},
		"damaged":             {fault: faultserver.Flip(100), extra: rest, warns: true},
		"its magic":           {fault: faultserver.Flip(0), extra: rest, warns: true},
		"huge lengths":        {fault: faultserver.Replace(append(bytes.Clone(good[:12]), bytes.Repeat([]byte{0xff}, len(good)-12)...)), extra: rest, warns: true},
		"without ranges":      {fault: faultserver.NoRanges()},
		"broken off":          {fault: faultserver.Cut(100), retries: true},
		"reset":               {fault: faultserver.ResetConnection(100), retries: true},
		"of the day before":   {fault: faultserver.Replace(padded(marshal(t, before[:2]), len(good))), extra: rest},
		"of that in disguise": {fault: faultserver.Replace(padded(disguised(before), len(good))), extra: rest},
		"of a thief":          {fault: faultserver.Replace(padded(disguised(evil), len(good))), extra: rest},
		"snapshot alone":      {fault: faultserver.Replace(padded(marshal(t, members[:1]), len(good))), extra: rest[1:]},
	} {
		t.Run(what, func(t *testing.T) {
			server := faultserver.New(t, serve.Handler(s.dir))
			nth := 0
			if x.retries {
				nth = 1
			}
			server.Add(faultserver.Rule{Path: name, Nth: nth, Fault: x.fault})
			m := s.follower(server)
			c, err := client.New([]string{server.URL}, client.Options{RetryDelay: time.Millisecond, Timeout: 2 * time.Second})
			s.must(err)
			m.o.Client = c
			r, err := m.refresh()
			if err != nil {
				t.Fatal(err)
			}
			rel, err := r.Newest("stable")
			if err != nil || rel.Version != "2" {
				t.Fatalf("stable points to %v: %v", rel, err)
			}
			want := append([]string{name}, x.extra...)
			if x.retries {
				want = append(want, name)
				slices.Sort(want)
			}
			slices.Sort(want)
			if got := asks(t, server); !slices.Equal(got, want) {
				t.Errorf("asks for %q, not %q", got, want)
			}
			if w := r.Warnings(); (len(w) > 0) != x.warns {
				t.Errorf("warnings %q", w)
			}
			for _, file := range []string{"snapshot.json", "targets.json"} {
				kept := readFile(t, m.o.State, "trust/"+file)
				if !bytes.Equal(kept, readFile(t, s.dir, "metadata/3."+file)) {
					t.Errorf("another %s is kept", file)
				}
			}
		})
	}
}

// rest is what is asked for when the bundle has nothing of use.
var rest = []string{"metadata/3.snapshot.json", "metadata/3.targets.json"}

func readFile(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marshal(t testing.TB, x mirror.Bundle) []byte {
	t.Helper()
	b, err := x.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// padded makes a bundle as long as another one, with a member of noise.
func padded(b []byte, size int) []byte {
	x, err := mirror.ParseBundle(b)
	if err != nil {
		panic(err)
	}
	for name := range 20 {
		for n := range size {
			more := mirror.Bundled{Name: "noise/" + strings.Repeat("x", 1+name), Bytes: noise(n)}
			p, err := append(slices.Clone(x), more).Marshal()
			if err != nil {
				panic(err)
			}
			if len(p) == size {
				return p
			}
			if len(p) > size {
				break // lengths leave one out now and then
			}
		}
	}
	panic("it cannot be made as long")
}

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// TestBundleRepair: check finds a bundle that is missing or damaged, and refresh makes it again as
// it was.
func TestBundleRepair(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.publish("2", "testing", trust.Info{})
	const name = "metadata/3.stable.bundle"
	path := filepath.Join(s.dir, name)
	good := readFile(t, s.dir, name)
	for what, b := range map[string][]byte{
		"missing": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"another channel's": readFile(t, s.dir, "metadata/3.testing.bundle"),
		"damaged":           append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
	} {
		s.must(os.Remove(path))
		if b != nil {
			s.must(os.WriteFile(path, b, 0o644))
		}
		if err := trust.Check(t.Context(), folder.At(s.dir)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
		s.refresh()
		s.must(trust.Check(t.Context(), folder.At(s.dir)))
		if !bytes.Equal(readFile(t, s.dir, name), good) {
			t.Errorf("%s: another bundle is there now", what)
		}
	}
}

// TestBundleMembers: check holds what is in a bundle against the mirror.
func TestBundleMembers(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	const name = "metadata/2.stable.bundle"
	x, err := mirror.ParseBundle(readFile(t, s.dir, name))
	s.must(err)
	size := len(readFile(t, s.dir, name))
	x[0].Bytes = x[0].Bytes[:100]
	s.must(os.WriteFile(filepath.Join(s.dir, name), padded(marshal(t, x), size), 0o644))
	s.must(trust.Check(t.Context(), folder.At(s.dir))) // it is what the file begins with
	x[2].Bytes[9] ^= 1
	s.must(os.WriteFile(filepath.Join(s.dir, name), padded(marshal(t, x), size), 0o644))
	if err := trust.Check(t.Context(), folder.At(s.dir)); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("another release file in it: %v", err)
	}
}

// TestManyChannels: a mirror of many channels has bundles of the first by name.
func TestManyChannels(t *testing.T) {
	s := newSite(t, nil)
	for i := range 18 {
		s.publish("1", fmt.Sprintf("c%02d", i), trust.Info{})
	}
	server := faultserver.New(t, serve.Handler(s.dir))
	for channel, want := range map[string]int{"c00": 1, "c15": 1, "c16": 2, "c17": 2} {
		m := s.follower(server)
		m.o.Channel = channel
		if _, err := m.refresh(); err != nil {
			t.Fatal(err)
		}
		if got := asks(t, server); len(got) != want {
			t.Errorf("%s: asks for %q", channel, got)
		}
	}
	s.must(trust.Check(t.Context(), folder.At(s.dir)))
}

// TestAtOnce: the timestamp is asked for before the next root has been answered, and judged by the
// root that follows.
func TestAtOnce(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	s.rotate(trust.Change{Role: "timestamp"})
	s.publish("2", "stable", trust.Info{})
	asked := make(chan bool, 9)
	server := faultserver.New(t, serve.Handler(s.dir))
	server.Add(
		faultserver.Rule{Path: mirror.TimestampPath, Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			asked <- true
			next.ServeHTTP(w, r)
		}},
		faultserver.Rule{Path: "metadata/2.root.json", Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			select {
			case <-asked:
			case <-time.After(20 * time.Second):
				t.Error("nobody asks for the timestamp")
			}
			next.ServeHTTP(w, r)
		}})
	m.reads(server.URL)
	m.wants("2")
	if n := server.Requests(mirror.TimestampPath); n != 1 {
		t.Errorf("%d requests for the timestamp", n)
	}
}
