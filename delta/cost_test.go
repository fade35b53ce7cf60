package delta

import (
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	offer := Offer{Route: routePatch, Work: Work{Compress: 300, Decode: 200, Patch: 100, Write: 1000}}
	for i := range 5 {
		offer.Pieces = append(offer.Pieces, Piece{File{SetFile, id('s', i)}, Extent{0, 1000}})
	}
	p, err := NewPlan(Need{Offers: []Offer{offer}}, target{}, Options{
		Line:     Line{Rate: 500, RTT: time.Second},
		CPU:      CPU{Compress: 100, Decode: 100, Patch: 50, Write: 1000},
		Parallel: 4,
	})
	// Two round trips, 5000 bytes, and the work.
	if want := (2 + 10 + 3 + 2 + 2 + 1) * time.Second; err != nil || p.Time != want {
		t.Errorf("%v, want %v (%v)", p.Time, want, err)
	}
}

// TestTimeBeside: what is made beside fetching takes no time as long as the line takes longer, but
// for the last bytes; and the line takes none but for the first ones as long as the machine does.
func TestTimeBeside(t *testing.T) {
	cpu := CPU{Compress: 100, Decode: 100, Patch: 100, Write: 100, Scan: 100}
	for _, tt := range []struct {
		making bool
		bytes  int64
		lead   int64
		work   Work
		want   time.Duration
	}{
		{false, 100, 0, Work{Compress: 200, Patch: 300, Decode: 100, Write: 100}, 17 * time.Second},
		{true, 100, 0, Work{Compress: 200, Patch: 300, Decode: 100, Write: 100}, 12 * time.Second},
		{true, 100, 20, Work{Compress: 200, Patch: 300, Decode: 100, Write: 100}, 13 * time.Second},
		{true, 100, 0, Work{Compress: 1000, Patch: 500}, 15 * time.Second},
		{true, 100, 20, Work{Compress: 1000, Patch: 500}, 17 * time.Second},
		{true, 100, 100, Work{Compress: 200}, 12 * time.Second},
		{true, 100, 500, Work{Compress: 200}, 12 * time.Second},
		{true, 0, 0, Work{Compress: 200}, 12 * time.Second},
	} {
		offer := Offer{Making: tt.making, Lead: tt.lead, Work: tt.work}
		if got := cpu.timeBeside(10*time.Second, offer, tt.bytes); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestRequestCost(t *testing.T) {
	for _, tt := range []struct {
		line Line
		want int64
	}{
		{Line{}, 50_000},
		{Line{Rate: 1000, RTT: 100 * time.Millisecond}, 4 << 10},
		{Line{Rate: 1e8, RTT: 100 * time.Millisecond}, 256 << 10},
		{Line{Rate: 2e6}, 100_000},
	} {
		if got := tt.line.RequestCost(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.line, got, tt.want)
		}
	}
}
