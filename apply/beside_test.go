package apply_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
)

// TestSilentMirror: the slot keeps its old image when a mirror falls silent long before all is
// fetched, and loses it when that happens at the end.
func TestSilentMirror(t *testing.T) {
	for name, line := range map[string]delta.Line{
		"far from the end": {Rate: 10e3, RTT: time.Millisecond},
		"near the end":     fast,
	} {
		t.Run(name, func(t *testing.T) {
			m := newTarget(t)
			m.with = func(r *apply.Request) { r.Route, r.Line, r.Parallel = "blocks", line, 1 }
			old := noise(5, 1<<20)
			if err := os.WriteFile(m.path, old, 0o644); err != nil {
				t.Fatal(err)
			}
			m.server.Add(
				faultserver.Rule{Path: "images/", Nth: 1, Fault: faultserver.Stall(300 << 10)},
				faultserver.Rule{Path: "images/", Fault: faultserver.Stall(0)})
			if _, _, err := m.pull(); err == nil {
				t.Fatal("it was not silent")
			}
			if name == "near the end" {
				m.checkUnbootable()
			} else if got := readFile(t, m.path); !bytes.Equal(got, old) {
				t.Error("the slot has changed")
			}
			came := m.server.BodyBytes("images/")
			m.server.Clear()
			m.server.Reset()
			q, _ := m.mustPull()
			if sent := m.server.BodyBytes("images/"); q.Bytes != sent || came == 0 {
				t.Errorf("%d bytes came, then %d were quoted and %d sent", came, q.Bytes, sent)
			}
		})
	}
}

// TestBesideDamage: bytes that turn out damaged after the image was made with them are fetched
// again.
func TestBesideDamage(t *testing.T) {
	m := newTarget(t)
	m.take("beside")
	other := faultserver.New(t, m.server)
	other.Add(faultserver.Rule{Path: "images/", Fault: faultserver.Flip(20000)})
	m.urls = []string{other.URL, m.server.URL}
	q, r := m.mustPull()
	if r.Route != "blocks" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
	if extra := r.BytesFetched - q.Bytes - q.MetaBytes; extra <= 0 || extra > q.Bytes/2 {
		t.Errorf("%d bytes came in place of the damaged ones, of %d in all", extra, q.Bytes)
	}
}
