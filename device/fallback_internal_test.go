package device

import (
	"encoding/json"
	"testing"
)

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
