package bench

import (
	"fmt"
	"time"
)

// Line is the network between a mirror and a target.
type Line struct {
	Rate float64       `json:"bits_per_second"` // in each direction; 0: no limit
	RTT  time.Duration `json:"rtt_ns"`          // one round trip
}

// String writes a line like "10 Mbit/s, 50 ms".
func (l Line) String() string {
	switch {
	case l.Rate == 0 && l.RTT == 0:
		return "loopback"
	case l.Rate == 0:
		return "unlimited, " + milliseconds(l.RTT)
	}
	return rateName(l.Rate) + ", " + milliseconds(l.RTT)
}

// rateName writes bits per second for people.
func rateName(bits float64) string {
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.4g Gbit/s", bits/1e9)
	case bits >= 1e6:
		return fmt.Sprintf("%.4g Mbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.4g kbit/s", bits/1e3)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.4g ms", float64(d)/float64(time.Millisecond))
}

// flags are the flags that tell deltaup's pull and plan about the line.
func (l Line) flags() []string {
	if l.Rate == 0 {
		return nil
	}
	return []string{"--bandwidth", fmt.Sprintf("%.0fbit", l.Rate), "--rtt", l.RTT.String()}
}

// NamedLine is a line with a name for the kind of place that has it.
type NamedLine struct {
	Name string `json:"name"`
	Line
}

// lines are the lines of the report's table.
var lines = []NamedLine{
	{"satellite", Line{64e3, 600 * time.Millisecond}},
	{"2G", Line{256e3, 300 * time.Millisecond}},
	{"3G", Line{1e6, 150 * time.Millisecond}},
	{"DSL", Line{4e6, 50 * time.Millisecond}},
	{"LTE", Line{10e6, 50 * time.Millisecond}},
	{"cable", Line{50e6, 20 * time.Millisecond}},
	{"fibre", Line{200e6, 10 * time.Millisecond}},
	{"data centre", Line{1e9, 5 * time.Millisecond}},
}

// curveRTT is the round trip of the chart of time against bandwidth.
const curveRTT = 50 * time.Millisecond

// curveRates are its bandwidths.
var curveRates = []float64{
	64e3,
	128e3,
	256e3,
	512e3,
	1e6,
	2e6,
	4e6,
	10e6,
	20e6,
	50e6,
	100e6,
	200e6,
	500e6,
	1e9,
}

// roundRate is the bandwidth of the chart of time against the round trip.
const roundRate = 10e6

// curveRTTs are its round trips.
var curveRTTs = []time.Duration{
	5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond,
}
