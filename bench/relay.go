package bench

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// The relay's core: what a line does to the packets of one direction. It reads no clock and no
// device, so that tests drive it with a time of their own.

const (
	// frameHeader is what a packet takes on the line besides itself, as in tc's count.
	frameHeader = 14
	// catchUp is how much an idle line may make up for, since a packet may be read late. In any
	// time t the line carries at most what its rate allows in t + catchUp.
	catchUp = time.Millisecond
	// leastQueue is room for 21 full packets, in bytes.
	leastQueue = 32 << 10
)

// way is one direction of a line: a bounded queue, then the line with its rate, then chance, then
// the delay of half a round trip.
type way struct {
	line   Line
	random *rand.Rand
	free   time.Time // when the line has sent all that waits

	packets, full, lost, late int // all that came; of them: no room in the queue, lost, out of order
}

func newWay(line Line, seed uint64) *way {
	return &way{line: line, random: rand.New(rand.NewPCG(seed, 0))}
}

// queue is how many bytes may wait for a line: what it carries in a round trip, the rule of thumb
// for routers (Villamizar and Song, High Performance TCP in ANSNET, 1994), but not less than in 100
// ms.
func (l Line) queue() float64 {
	return max(leastQueue, l.Rate/8*max(l.RTT, 100*time.Millisecond).Seconds())
}

// carry takes a packet of n bytes that comes at now and says when it arrives; ok is false for one
// that does not. Times do not go back from call to call. The packet arrives half a round trip after
// it was sent, or later by a fifth of a round trip when chance has it come out of order.
func (w *way) carry(now time.Time, n int) (due time.Time, ok bool) {
	w.packets++
	due = now
	if w.line.Rate > 0 {
		if early := now.Add(-catchUp); w.free.Before(early) {
			w.free = early
		}
		if w.free.Sub(now).Seconds()*w.line.Rate/8+float64(n) > w.line.queue() {
			w.full++
			return due, false
		}
		bits := float64(n+frameHeader) * 8
		w.free = w.free.Add(time.Duration(bits / w.line.Rate * float64(time.Second)))
		if w.free.After(due) {
			due = w.free
		}
	}
	if w.random.Float64() < w.line.Loss { // lost on the line, whose time it took
		w.lost++
		return due, false
	}
	due = due.Add(w.line.RTT / 2)
	if w.random.Float64() < w.line.Reorder {
		w.late++
		due = due.Add(w.line.RTT / 5)
	}
	return due, true
}

// flight has the packets that are under way in one direction, in the order of their arrival.
type flight struct {
	mu      sync.Mutex
	way     *way
	packets []packet
	some    chan struct{} // has an element when packets were put into an empty flight
}

// packet is a packet under way.
type packet struct {
	data []byte
	due  time.Time
}

// put gives a packet that comes at now to the line.
func (f *flight) put(now time.Time, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	due, ok := f.way.carry(now, len(data))
	if !ok {
		return
	}
	at := len(f.packets) // only one that is out of order has others behind it
	for at > 0 && f.packets[at-1].due.After(due) {
		at--
	}
	f.packets = slices.Insert(f.packets, at, packet{append([]byte(nil), data...), due})
	select {
	case f.some <- struct{}{}:
	default:
	}
}

// take removes at most most packets that have arrived at now. wait is the time until the next one
// does; ok is false when none is under way.
func (f *flight) take(now time.Time, most int) (arrived []packet, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.packets) && n < most && !f.packets[n].due.After(now) {
		n++
	}
	arrived = f.packets[:n:n]
	f.packets = f.packets[n:]
	if len(f.packets) == 0 {
		return arrived, 0, false
	}
	return arrived, f.packets[0].due.Sub(now), true
}

// become makes the flight that of another line; what is under way is lost.
func (f *flight) become(w *way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.way, f.packets = w, nil
}
