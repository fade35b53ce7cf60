package bench

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link emulates a line in user space and counts the bytes that pass. The connections of its
// listeners share the line's rate in each direction. What the server sends arrives a round trip
// later. The first answer on a connection waits another round trip, for TCP's handshake. link does
// not emulate slow start, windows and loss.
type link struct {
	line     Line
	down, up pace
	sent     atomic.Int64 // bytes of TCP payload to the target
	received atomic.Int64 // bytes of TCP payload from the target
	pumps    sync.WaitGroup
}

func newLink(line Line) *link {
	return &link{line: line, down: pace{bits: line.Rate}, up: pace{bits: line.Rate}}
}

// listener shapes the connections that l accepts.
func (k *link) listener(l net.Listener) net.Listener { return &shapedListener{l, k} }

type shapedListener struct {
	net.Listener
	link *link
}

func (l *shapedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.link.conn(c), nil
}

// conn shapes the server's end of a connection.
func (k *link) conn(c net.Conn) *shapedConn {
	s := &shapedConn{
		Conn:  c,
		link:  k,
		queue: make(chan segment, queueSegments),
		quit:  make(chan struct{}),
		gone:  make(chan struct{}),
	}
	k.pumps.Add(1)
	go s.pump()
	return s
}

// pace spreads bytes over time, at a rate.
type pace struct {
	bits float64 // bits a second; 0: no limit
	mu   sync.Mutex
	next time.Time
}

// paceBurst is how much an idle line may catch up, since sleeping is not exact.
const paceBurst = 2 * time.Millisecond

// take books n bytes and gives the time at which the last of them has left.
func (p *pace) take(n int) time.Time {
	now := time.Now()
	if p.bits == 0 {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := now.Add(-paceBurst); p.next.Before(late) {
		p.next = late
	}
	p.next = p.next.Add(time.Duration(float64(n) * 8 / p.bits * float64(time.Second)))
	return p.next
}

const (
	segmentSize   = 16 << 10 // bytes that a connection sends before another one has its turn
	queueSegments = 8192     // 128 MiB under way on a connection, so that no window slows it down
)

// segment is a piece of a stream on its way.
type segment struct {
	data []byte
	due  time.Time
}

// shapedConn is the server's end of a connection.
type shapedConn struct {
	net.Conn
	link   *link
	begun  bool
	queue  chan segment
	quit   chan struct{} // closed by Close
	gone   chan struct{} // closed when pump has ended
	closed sync.Once
}

// Write returns when the bytes have left, not when they have arrived.
func (s *shapedConn) Write(p []byte) (int, error) {
	delay := s.link.line.RTT
	if !s.begun {
		s.begun = true
		delay *= 2
	}
	size := segmentSize
	if rate := s.link.line.Rate; rate > 0 { // so small that connections share a slow line
		size = max(512, min(size, int(rate/8/50)))
	}
	for done := 0; done < len(p); {
		n := min(size, len(p)-done)
		select { // a select of its own, since select takes any of several ready cases
		case <-s.quit:
			return done, net.ErrClosed
		default:
		}
		left := s.link.down.take(n)
		select {
		case s.queue <- segment{append([]byte(nil), p[done:done+n]...), left.Add(delay)}:
		case <-s.quit:
			return done, net.ErrClosed
		case <-s.gone:
			return done, net.ErrClosed
		}
		s.link.sent.Add(int64(n))
		time.Sleep(time.Until(left))
		done += n
	}
	return len(p), nil
}

// Read returns bytes of the target once the line has carried them.
func (s *shapedConn) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), segmentSize)])
	s.link.received.Add(int64(n))
	time.Sleep(time.Until(s.link.up.take(n)))
	return n, err
}

// Close waits until what is under way has arrived.
func (s *shapedConn) Close() error {
	s.closed.Do(func() { close(s.quit) })
	return nil
}

// pump delivers what is due, then closes the connection.
func (s *shapedConn) pump() {
	defer s.link.pumps.Done()
	defer s.Conn.Close() // the other side may have closed it
	defer close(s.gone)
	for {
		select {
		case seg := <-s.queue:
			if !s.deliver(seg) {
				return
			}
		case <-s.quit:
			for {
				select {
				case seg := <-s.queue:
					if !s.deliver(seg) {
						return
					}
				default:
					return
				}
			}
		}
	}
}

func (s *shapedConn) deliver(seg segment) bool {
	time.Sleep(time.Until(seg.due))
	_, err := s.Conn.Write(seg.data)
	return err == nil
}
