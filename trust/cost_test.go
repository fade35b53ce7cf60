package trust_test

import (
	"testing"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
	"deltaup/trust"
)

// TestCost bounds the requests and bytes of a refresh on a mirror with 50 releases. Bytes are all
// that the server sends, headers included.
func TestCost(t *testing.T) {
	s := newSite(t, map[string]trust.Quorum{"root": {Threshold: 2, Keys: 3}, "targets": {Threshold: 2, Keys: 2}})
	all := versions(50)
	for _, v := range all {
		s.publish(v, "stable", trust.Info{KernelArguments: "root=/dev/vg/a quiet", Notes: "Release " + v + " closes a hole in the resolver."})
		s.refresh()
	}
	server := faultserver.New(t, serve.Handler(s.dir))
	m := s.newTarget()
	m.reads(server.URL)
	costs := func(what string, requests int, bytes int64, ask func()) {
		t.Helper()
		server.Reset()
		wire := server.WireBytes()
		ask()
		sent := server.WireBytes() - wire
		t.Logf("%s: %d requests, %d bytes with headers, %d without", what, len(server.Log()), sent, server.BodyBytes(""))
		if n := len(server.Log()); n > requests || sent > bytes {
			t.Errorf("%s: %d requests and %d bytes, at most %d and %d are permitted", what, n, sent, requests, bytes)
		}
	}
	costs("update", 5, 15_000, func() { m.wants("50") })
	costs("poll", 2, 3_000, func() { m.wants("50") })
	s.refresh()
	costs("poll after a refresh", 2, 3_000, func() { m.wants("50") })
	m = s.newTarget()
	m.reads(server.URL)
	costs("an old release", 5, 15_000, func() {
		r, err := m.refresh()
		s.must(err)
		_, err = r.Find(t.Context(), "7")
		s.must(err)
	})
}
