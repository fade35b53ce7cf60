package delta

import "time"

// Line is a network path between target and mirror.
type Line struct {
	Rate float64       // bytes per second; 0: not known
	RTT  time.Duration // one round trip; 0: not known
}

// DefaultLine stands in for what is not known of a line.
var DefaultLine = Line{Rate: 1e6, RTT: 50 * time.Millisecond}

// CPU is how fast a machine works, each kind of [Work] in bytes per second with all its
// processors; 0: not known.
type CPU struct {
	Compress, Decode, Patch, Write, Scan float64
}

// DefaultCPU stands in for what is not known of a machine: a small one.
var DefaultCPU = CPU{Compress: 60e6, Decode: 200e6, Patch: 25e6, Write: 600e6, Scan: 800e6}

// DefaultParallel is how many requests are under way at once when nobody says otherwise: enough
// that many small ranges do not wait for each other on a fast line with a long round trip, few
// enough for any server.
const DefaultParallel = 8

const (
	defaultMaxRange = 8 << 20

	// What a request may be worth in bytes: below, headers weigh more than the
	// gap; above, a wrong idea of the line would fetch too much of nothing.
	minRequestCost = 4 << 10
	maxRequestCost = 256 << 10
)

// RequestCost is how many bytes the line carries in the time that one more request takes: a
// gap between two pieces is fetched along when it is no longer than that.
func (l Line) RequestCost() int64 {
	l = l.orDefault()
	return int64(min(max(l.Rate*l.RTT.Seconds(), minRequestCost), maxRequestCost))
}

func (l Line) orDefault() Line {
	l.Rate = known(l.Rate, DefaultLine.Rate)
	if l.RTT <= 0 {
		l.RTT = DefaultLine.RTT
	}
	return l
}

// time is how long it takes to fetch so much in so many requests, of which the first
// follow each other and the others are under way parallel at once.
func (l Line) time(bytes int64, first, others, parallel int) time.Duration {
	l = l.orDefault()
	trips := first + (others+parallel-1)/parallel
	return time.Duration(trips)*l.RTT + seconds(bytes, l.Rate)
}

// time is how long the work takes once all is fetched. Contents are read, patched and compressed
// one after another, and compressing goes on beside the rest as far as a few blocks on their way
// permit.
func (c CPU) time(w Work) time.Duration {
	compress := seconds(w.Compress, known(c.Compress, DefaultCPU.Compress))
	feed := seconds(w.Decode, known(c.Decode, DefaultCPU.Decode)) + seconds(w.Patch,
		known(c.Patch, DefaultCPU.Patch))
	beside := time.Duration(besideShare * float64(min(compress, feed)))
	return compress + feed - beside + seconds(w.Write, known(c.Write, DefaultCPU.Write)) + seconds(
		w.Scan,
		known(c.Scan, DefaultCPU.Scan),
	)
}

// early is how much of the work is done in the time for which it goes on beside fetching.
func (c CPU) early(w Work, beside time.Duration) time.Duration {
	return time.Duration(
		earlyShare * float64(min(seconds(w.Write, known(c.Write, DefaultCPU.Write)), beside)),
	)
}

// earlyShare is how much of what is written beside fetching is done when that ends, measured.
const earlyShare = 0.75

// besideShare is how much of the shorter of two kinds of work is done beside the other, measured.
const besideShare = 0.4

func known(rate, otherwise float64) float64 {
	if rate > 0 {
		return rate
	}
	return otherwise
}

func seconds(n int64, rate float64) time.Duration {
	return time.Duration(min(float64(n)/rate, 1e9) * float64(time.Second))
}
