package bench

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Line is the network between a mirror and a target.
type Line struct {
	Rate    float64       `json:"bits_per_second"`   // in each direction; 0: no limit
	RTT     time.Duration `json:"rtt_ns"`            // one round trip
	Loss    float64       `json:"loss,omitempty"`    // share of the packets of each direction
	Reorder float64       `json:"reorder,omitempty"` // share of those that others overtake
}

// String writes a line like "10 Mbit/s, 50 ms, 1 % lost".
func (l Line) String() string {
	name := rateName(l.Rate) + ", " + milliseconds(l.RTT)
	switch {
	case l == Line{}:
		return "loopback"
	case l.Rate == 0:
		name = "unlimited, " + milliseconds(l.RTT)
	}
	if l.Loss > 0 {
		name += fmt.Sprintf(", %.4g %% lost", 100*l.Loss)
	}
	if l.Reorder > 0 {
		name += fmt.Sprintf(", %.4g %% overtaken", 100*l.Reorder)
	}
	return name
}

var lineSyntax = regexp.MustCompile(`^([\d.]+)([kmg])bit/([\d.]+m?s)(?:/([\d.]+)%)?$`)

// ParseLine reads a line like "10mbit/50ms", or "10mbit/50ms/1%" of which 1 % of the packets is
// lost.
func ParseLine(s string) (Line, error) {
	m := lineSyntax.FindStringSubmatch(s)
	if m == nil {
		return Line{}, fmt.Errorf("line %q: want one like 10mbit/50ms or 10mbit/50ms/1%%", s)
	}
	rate, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return Line{}, fmt.Errorf("line %q: %w", s, err)
	}
	rtt, err := time.ParseDuration(m[3])
	if err != nil {
		return Line{}, fmt.Errorf("line %q: %w", s, err)
	}
	loss := 0.0
	if m[4] != "" {
		if loss, err = strconv.ParseFloat(m[4], 64); err != nil {
			return Line{}, fmt.Errorf("line %q: %w", s, err)
		}
	}
	l := Line{Rate: rate * map[string]float64{"k": 1e3, "m": 1e6, "g": 1e9}[m[2]], RTT: rtt, Loss: loss / 100}
	if l.Rate < 1e3 || l.Rate > 1e9 || l.RTT > time.Minute || l.Loss > 1 {
		return Line{}, fmt.Errorf("line %q: a relay carries 1 kbit/s to 1 Gbit/s, delays up to a minute", s)
	}
	return l, nil
}

// lossy tells whether packets are lost or overtaken.
func (l Line) lossy() bool { return l.Loss > 0 || l.Reorder > 0 }

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
	Source string `json:"source"` // of its figures
}

// lines are the lines of the report's table.
var lines = []NamedLine{
	{
		"GPRS", Line{Rate: 64e3, RTT: 600 * time.Millisecond},
		"four slots of 16 kbit/s; developer tools have 50 kbit/s and 500 ms",
	},
	{
		"EDGE", Line{Rate: 256e3, RTT: 300 * time.Millisecond},
		"developer tools have 250 kbit/s and 300 ms, WebPageTest 240 kbit/s and 840 ms",
	},
	{
		"3G", Line{Rate: 1e6, RTT: 150 * time.Millisecond},
		"developer tools have 750 kbit/s and 100 ms, WebPageTest 1.6 Mbit/s and 300 ms",
	},
	{
		"DSL", Line{Rate: 4e6, RTT: 50 * time.Millisecond},
		"developer tools have 2 Mbit/s, WebPageTest 1.5 Mbit/s and 50 ms",
	},
	{
		"LTE", Line{Rate: 10e6, RTT: 50 * time.Millisecond},
		"WebPageTest has 12 Mbit/s and 70 ms, developer tools 4 Mbit/s and 20 ms",
	},
	{
		"satellite", Line{Rate: 10e6, RTT: 600 * time.Millisecond},
		"a geostationary one takes at least 558 ms (RFC 2488); the rate is that of LTE",
	},
	{
		"cable", Line{Rate: 50e6, RTT: 20 * time.Millisecond},
		"chosen: ten times what WebPageTest has, with 28 ms",
	},
	{
		"data centre", Line{Rate: 1e9, RTT: 5 * time.Millisecond}, "chosen: Gigabit Ethernet nearby",
	},
	{
		"far data centre", Line{Rate: 1e9, RTT: curveRTT},
		"chosen: Gigabit Ethernet over 5000 km of fibre",
	},
}

// curveRTT is the round trip of the chart of time against bandwidth.
const curveRTT = 50 * time.Millisecond

// curveRates are its bandwidths.
var curveRates = []float64{
	64e3, 128e3, 256e3, 512e3, 1e6, 2e6, 4e6, 10e6, 20e6, 50e6, 100e6, 200e6, 500e6, 1e9,
}

// roundRate is the bandwidth of the chart of time against the round trip.
const roundRate = 10e6

// curveRTTs are its round trips.
var curveRTTs = []time.Duration{
	5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond,
}
