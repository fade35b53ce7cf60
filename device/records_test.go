package device

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

const someRecords = `{
  "format": 1,
  "order": 7,
  "slots": {
    "a": {
      "version": "2",
      "image": "0101010101010101010101010101010101010101010101010101010101010101",
      "size": 4096,
      "order": 7,
      "installed": "2026-01-02T03:04:05Z",
      "whole": true,
      "pinned": false,
      "kernel_id": "0303030303030303030303030303030303030303030303030303030303030303",
      "initrd_id": "-"
    }
  },
  "failed": [
    {
      "image": "0202020202020202020202020202020202020202020202020202020202020202",
      "version": "1",
      "slot": "b",
      "time": "2026-01-02T03:04:05Z",
      "reason": "20-net: exit status 1",
      "console": [
        "Kernel panic"
      ]
    }
  ]
}
`

func TestRecordsRoundTrip(t *testing.T) {
	r, err := parseRecords([]byte(someRecords))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.marshal()
	if err != nil || string(again) != someRecords {
		t.Errorf("%v: got\n%s", err, again)
	}
}

func TestRecordsRefused(t *testing.T) {
	for _, x := range []struct {
		old, new string
		want     error
	}{
		{`"format": 1`, `"format": 2`, chunkstore.ErrVersion},
		{`"format": 1,`, ``, chunkstore.ErrVersion},
		{`"pinned"`, `"pined"`, chunkstore.ErrCorrupt},
		{`"size": 4096`, `"size": -1`, chunkstore.ErrCorrupt},
		{`"order": 7,` + "\n  \"slots\"", `"order": 6,` + "\n  \"slots\"", chunkstore.ErrCorrupt},
		{`0101`, `01`, chunkstore.ErrCorrupt},
		{`{`, ``, chunkstore.ErrCorrupt},
		{`"whole": true`, `"whole": "` + strings.Repeat("x", maxRecords) + `"`, chunkstore.ErrCorrupt},
	} {
		changed := strings.Replace(someRecords, x.old, x.new, 1)
		if changed == someRecords {
			t.Fatalf("%q is not there", x.old)
		}
		if _, err := parseRecords([]byte(changed)); !errors.Is(err, x.want) {
			t.Errorf("%.40s: got %v, want %v", x.new, err, x.want)
		}
	}
}

// TestFailuresBounded remembers the newest, each image once and with its first reason.
func TestFailuresBounded(t *testing.T) {
	r := &records{Slots: map[string]*Record{}}
	r.fail("a", "nobody knows what it holds", nil)
	if len(r.Failed) != 0 {
		t.Fatalf("an unknown image: %+v", r.Failed)
	}
	for i := range maxFailures + 5 {
		r.slot("a").Image = chunkstore.Sum(fmt.Append(nil, i))
		r.fail("a", strings.Repeat("x", 2*maxReason), nil)
		r.fail("a", "later", nil)
	}
	if len(r.Failed) != maxFailures || len(r.Failed[0].Reason) != maxReason {
		t.Fatalf("%d are remembered, the first with %d bytes", len(r.Failed), len(r.Failed[0].Reason))
	}
	if r.failure(chunkstore.Sum([]byte("4"))) != nil || r.failure(chunkstore.Sum([]byte("5"))) == nil {
		t.Error("not the newest are kept")
	}
	r.forgive("a")
	if len(r.Failed) != maxFailures-1 {
		t.Error("not forgiven")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(someRecords))
	f.Add([]byte(`{"format": 1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecords(b)
		if err != nil {
			return
		}
		once, err := r.marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseRecords(once)
		if err != nil {
			t.Fatalf("not read back: %v", err)
		}
		twice, err := again.marshal()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v: another encoding the second time", err)
		}
	})
}
