package delta

import "time"

// Line is a network path between target and mirror.
type Line struct {
	Rate float64       // bytes per second; 0: not known
	RTT  time.Duration // one round trip; 0: not known
}

// defaultLine stands in for the properties of a line that are not known.
var defaultLine = Line{Rate: 1e6, RTT: 50 * time.Millisecond}

// CPU is how fast a machine does each kind of [Work], in bytes per second, with all its processors;
// 0: not known.
type CPU struct {
	Compress, Decode, Patch, Write, Scan float64
}

// defaultCPU stands in for the speeds that are not known. It is a small machine.
var defaultCPU = CPU{Compress: 60e6, Decode: 200e6, Patch: 25e6, Write: 600e6, Scan: 800e6}

// DefaultParallel is how many requests are under way at once by default. It suffices to fill a fast
// line with a long round trip by small ranges, and is few enough for any server.
const DefaultParallel = 8

const (
	defaultMaxRange = 8 << 20

	// Bounds of RequestCost. A gap below the lower one costs less than a request's headers. The
	// upper one limits what a wrong estimate of the line makes a target fetch in vain.
	minRequestCost = 4 << 10
	maxRequestCost = 256 << 10
)

// RequestCost is how many bytes the line carries in the time that one more request takes. A plan
// fetches a gap between two pieces along with them when the gap is no longer than that.
func (l Line) RequestCost() int64 {
	l = l.orDefault()
	return int64(min(max(l.Rate*l.RTT.Seconds(), minRequestCost), maxRequestCost))
}

func (l Line) orDefault() Line {
	l.Rate = known(l.Rate, defaultLine.Rate)
	if l.RTT <= 0 {
		l.RTT = defaultLine.RTT
	}
	return l
}

// Carries is how long the line takes to carry a number of bytes.
func (l Line) Carries(bytes int64) time.Duration { return seconds(bytes, l.orDefault().Rate) }

// Patching is how long it takes all processors to patch a number of bytes.
func (c CPU) Patching(bytes int64) time.Duration {
	return seconds(bytes, known(c.Patch, defaultCPU.Patch))
}

// time is how long it takes to fetch a number of bytes in first requests, one after another, and
// then others requests, of which up to parallel are under way at once.
func (l Line) time(bytes int64, first, others, parallel int) time.Duration {
	l = l.orDefault()
	trips := first + (others+parallel-1)/parallel
	return time.Duration(trips)*l.RTT + seconds(bytes, l.Rate)
}

// timeBeside is how long an offer takes whose bytes, so many, are fetched in a time.
func (c CPU) timeBeside(fetch time.Duration, offer Offer, bytes int64) time.Duration {
	w := offer.Work
	// each at the speed of all processors
	making := seconds(w.Compress, known(c.Compress, defaultCPU.Compress)) + c.Patching(w.Patch)
	rest := seconds(w.Decode, known(c.Decode, defaultCPU.Decode)) +
		seconds(w.Write, known(c.Write, defaultCPU.Write)) +
		seconds(w.Scan, known(c.Scan, defaultCPU.Scan))
	if !offer.Making || bytes <= 0 {
		return fetch + making + rest - c.writtenBeside(w, min(fetch, offer.Beside))
	}
	lead := min(float64(offer.Lead)/float64(bytes), 1)
	return rest + max(time.Duration(lead*float64(fetch))+making,
		fetch+time.Duration(lead*float64(making)))
}

// writtenBeside is how much of the work is done in a time for which the image is written beside
// fetching.
func (c CPU) writtenBeside(w Work, fetching time.Duration) time.Duration {
	write := seconds(w.Write, known(c.Write, defaultCPU.Write))
	return time.Duration(writtenShare * float64(min(write, fetching)))
}

// writtenShare is the part of the time of writing that an overlap with fetching saves, as measured.
const writtenShare = 0.75

func known(rate, otherwise float64) float64 {
	if rate > 0 {
		return rate
	}
	return otherwise
}

func seconds(n int64, rate float64) time.Duration {
	return time.Duration(min(float64(n)/rate, 1e9) * float64(time.Second))
}
