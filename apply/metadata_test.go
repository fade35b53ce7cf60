package apply

import (
	"testing"
	"time"

	"deltaup/mirror/client"
)

// TestMeasure: few bytes are not believed beyond 50 Mbit/s, many are, but from a mirror on this
// machine.
func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		mirror string
		bytes  int64
		want   float64
	}{
		{"http://192.0.2.1/", 10 << 10, 0},
		{"http://192.0.2.1/", 100 << 10, measuredMax},
		{"http://192.0.2.1/", 2 << 20, 2 << 20 * 100},
		{"http://127.0.0.1:8080/", 2 << 20, measuredMax},
		{"http://localhost/", 2 << 20, measuredMax},
		{"/srv/mirror", 2 << 20, measuredMax},
	} {
		reader, err := client.New([]string{tt.mirror}, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := newMetadata(Request{Client: reader}, nil)
		m.measure(tt.bytes, 10*time.Millisecond)
		if m.line.Rate != tt.want {
			t.Errorf("%s, %d bytes: %.0f, want %.0f", tt.mirror, tt.bytes, m.line.Rate, tt.want)
		}
		if m.measure(1<<10, time.Second); tt.want > measuredMax && m.line.Rate != tt.want {
			t.Errorf("%s: %.0f after a small file", tt.mirror, m.line.Rate)
		}
	}
}
