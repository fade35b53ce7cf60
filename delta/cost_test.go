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
	// Two round trips, 5000 bytes, and the work, of which 0.4 times 3 s overlap.
	if want := (2+10+3+2+2+1)*time.Second - 1200*time.Millisecond; err != nil || p.Time != want {
		t.Errorf("%v, want %v (%v)", p.Time, want, err)
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
