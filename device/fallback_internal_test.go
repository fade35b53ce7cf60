package device

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"deltaup/slotboot/config"
	"deltaup/slotboot/machine"
)

// TestToldCut: a fallback counts as told however long its reason is, and whatever bytes a check has
// printed into it.
func TestToldCut(t *testing.T) {
	d := &Device{
		Config:  &config.Config{State: "/state"},
		Machine: machine.Machine{Root: t.TempDir()},
	}
	for what, reason := range map[string]string{
		"short":     "its device did not appear",
		"a rune":    "x" + strings.Repeat("ä", maxReason),
		"not UTF-8": strings.Repeat("ok \xff", maxReason),
	} {
		r := &records{Slots: map[string]*Record{"b": {Image: [32]byte{1}}}}
		r.fail("b", reason, nil)
		kept := r.Failed[0].Reason
		if len(kept) > maxReason || len(kept) < min(len(reason), maxReason-utf8.UTFMax) ||
			!utf8.ValidString(kept) {
			t.Errorf("%s: %d bytes are kept: %q", what, len(kept), kept)
		}
		if err := d.tell(&Fallback{Slot: "b", Reason: reason}); err != nil {
			t.Fatal(err)
		}
		if f := d.told(); f == nil || f.Reason != kept {
			t.Errorf("%s: told %+v, kept %q", what, f, kept)
		}
	}
}

// FuzzTold gives the file of the last fallback any content: what is taken is bounded, and read back
// the same.
func FuzzTold(f *testing.F) {
	f.Add([]byte(`{"slot": "a", "order": 3, "time": "2026-01-02T03:04:05Z", "reason": "its device did not appear", "console": ["x"]}`))
	f.Add([]byte(`{"slot": ""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		told := parseTold(b)
		if told == nil {
			return
		}
		if told.Slot == "" || told.Order < 0 || len(told.Reason) > maxReason || len(told.Console) > maxConsole {
			t.Fatalf("taken: %+v", told)
		}
		again, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		if back := parseTold(again); back == nil || back.Slot != told.Slot || back.Order != told.Order {
			t.Fatalf("%s gives %+v", again, back)
		}
	})
}
