package bench

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestRangeOf(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want Range
	}{
		{nil, Range{}},
		{[]float64{3}, Range{3, 3, 3}},
		{[]float64{9, 1, 2}, Range{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, Range{3, 1, 9}},
	} {
		if got := rangeOf(tt.v); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.v, got, tt.want)
		}
	}
}

func TestCompute(t *testing.T) {
	m := &Result{Wall: Range{Median: 2}, WeakWall: 9, Sent: Range{Median: 900_000}, Received: Range{Median: 100_000}, Rounds: 4}
	line := Line{Rate: 8e6 * headerShare, RTT: 50 * time.Millisecond}
	for _, tt := range []struct {
		weak              bool
		seconds, download float64
	}{{false, 3.2, 1.2}, {true, 10.2, 1.2}} {
		seconds, download := compute(m, line, tt.weak)
		if math.Abs(seconds-tt.seconds) > 1e-9 || math.Abs(download-tt.download) > 1e-9 {
			t.Errorf("weak %v: %g s, %g s of it download; want %g and %g", tt.weak, seconds, download, tt.seconds, tt.download)
		}
	}
	if seconds, _ := compute(m, Line{}, false); seconds != 2 {
		t.Errorf("without a line: %g s, want 2", seconds)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{bytesName(0), "0 B"},
		{bytesName(999), "999 B"},
		{bytesName(346_412), "346 kB"},
		{bytesName(3_270_000), "3.27 MB"},
		{bytesName(99.96e6), "100 MB"},
		{bytesName(8e9), "8.00 GB"},
		{memoryName(80 << 20), "80.0 MiB"},
		{secondsName(0.421), "0.42 s"},
		{secondsName(99), "99.0 s"},
		{secondsName(119.7), "2 min 00 s"},
		{secondsName(5400), "1.50 h"},
		{secondsName(3 * 86400), "3.00 d"},
		{tickSeconds(600), "10 min"},
		{tickSeconds(0.15000000000000002), "0.15 s"},
		{trimmed("3.00 MB"), "3 MB"},
		{trimmed("100 MB"), "100 MB"},
		{trimmed("0.50 s"), "0.5 s"},
		{trimmed("50"), "50"},
		{Line{Rate: 64e3, RTT: 600 * time.Millisecond}.String(), "64 kbit/s, 600 ms"},
		{Line{Rate: 2.5e9, RTT: 0}.String(), "2.5 Gbit/s, 0 ms"},
		{Line{}.String(), "loopback"},
		{Line{Rate: 1e6, RTT: time.Second, Loss: 0.01, Reorder: 0.005}.String(), "1 Mbit/s, 1000 ms, 1 % lost, 0.5 % overtaken"},
		{ratioName(1, 3), "3 × less"},
		{ratioName(1.8, 1), "1.8 × more"},
		{ratioName(1, 46.4), "46 × less"},
		{ratioName(1, 1.04), same},
		{ratioName(0, 0), same},
		{ratioName(0, 5), "less"},
		{Range{2, 1, 3}.Text("seconds"), "2.00 s (1.00 s–3.00 s)"},
		{Range{2, 2, 2}.Text("bytes"), "2 B"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestParseLine demands that lines are read as they are meant, and nothing else is.
func TestParseLine(t *testing.T) {
	for s, want := range map[string]Line{
		"10mbit/50ms": {Rate: 10e6, RTT: curveRTT}, "64kbit/0.6s/5%": {Rate: 64e3, RTT: 600 * time.Millisecond, Loss: 0.05},
		"1gbit/5ms/0.5%": {Rate: 1e9, RTT: 5 * time.Millisecond, Loss: 0.005},
	} {
		if got, err := ParseLine(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "10mbit", "10mbit/", "mbit/5ms", "1..2mbit/5ms", "1mbit/1.2.3s", "1mbit/5ms/1", "1mbit/5ms/101%", "1mbit/5ms/1.1.1%", "2gbit/5ms", "0kbit/5ms", "1mbit/61s", "-1mbit/5ms"} {
		if got, err := ParseLine(s); err == nil {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func TestAxis(t *testing.T) {
	log := axis{min: 1, max: 1000, from: 100, to: 400}
	linear := axis{min: 0, max: 10, from: 50, to: 0, linear: true}
	for _, tt := range []struct{ got, want float64 }{
		{log.at(1), 100}, {log.at(10), 200}, {log.at(1000), 400}, {linear.at(0), 50}, {linear.at(5), 25},
	} {
		if math.Abs(tt.got-tt.want) > 1e-9 {
			t.Errorf("%g, want %g", tt.got, tt.want)
		}
	}
	if got := log.ticks([]float64{0.1, 1, 10, 1000, 1e4}); !slices.Equal(got, []float64{1, 10, 1000}) {
		t.Errorf("ticks %v", got)
	}
	for _, tt := range []struct {
		most float64
		want []float64
	}{
		{0, []float64{0}},
		{math.NaN(), []float64{0}},
		{math.Inf(1), []float64{0}},
		{1, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}},
		{7, []float64{0, 2, 4, 6}},
		{23, []float64{0, 5, 10, 15, 20}},
	} {
		if got := evenMarks(tt.most, 1); !slices.Equal(got, tt.want) {
			t.Errorf("marks to %g: %v, want %v", tt.most, got, tt.want)
		}
	}
}

// TestMinutes demands marks at whole minutes on an axis of many seconds.
func TestMinutes(t *testing.T) {
	got := evenMarks(800, times.unit(800))
	if !slices.Equal(got, []float64{0, 300, 600}) || times.tick(got[2]) != "10 min" || times.unit(50) != 1 {
		t.Errorf("%v", got)
	}
}

func TestSpread(t *testing.T) {
	for _, in := range [][]float64{{10, 10, 10}, {90, 95, 99}, {5, 50, 6, 7}, {50}} {
		out := spread(in, 15, 0, 100)
		for i := range out {
			if out[i] < 0 || out[i] > 100 {
				t.Errorf("%v: %v leaves the chart", in, out)
			}
			for j := range i {
				if math.Abs(out[i]-out[j]) < 14.9 {
					t.Errorf("%v: %v are too near", in, out)
				}
				if in[i] < in[j] && out[i] > out[j] {
					t.Errorf("%v: %v changes the order", in, out)
				}
			}
		}
	}
}

// TestExtrapolate demands a point on the line through the last two sizes.
func TestExtrapolate(t *testing.T) {
	run := []SizeStep{{Image: 1, Sent: 99}, {Image: 100, Sent: 10, Mirror: 200}, {Image: 200, Sent: 12, Mirror: 400}}
	got := extrapolate(run, func(s *SizeStep) *int64 { return &s.Image }, 800)
	if !got.Computed || got.Image != 800 || got.Sent != 24 || got.Mirror != 1600 {
		t.Errorf("%+v", got)
	}
}
