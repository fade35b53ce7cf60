package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// sample is one update of a target.
type sample struct {
	Usage
	sent, received, requests int64
	route                    string
}

// pullLimit is how long an update may take in a run within a budget.
const pullLimit = 5 * time.Minute

// pull updates a target by a method over a line, on the weak CPU if weak is set.
func (s *session) pull(m *method, line Line, weak bool) (sample, error) {
	return s.pullFrom(m, &s.report.Subject, s.published(m), line, weak)
}

// pullOver is pull in another namespace, with a limit of its own.
func (s *session) pullOver(n *namespace, m *method, line Line, limit time.Duration) (sample, error) {
	ctx, stop := context.WithTimeoutCause(s.ctx, limit, fmt.Errorf("it takes longer than %v", limit))
	defer stop()
	t := &target{subject: &s.report.Subject, kept: s.published(m), network: n, line: line}
	return s.pullTo(ctx, t, m, false)
}

// pullFrom pulls a subject from the folder that was published.
func (s *session) pullFrom(m *method, subject *Subject, pub string, line Line, weak bool) (sample, error) {
	ctx, stop := context.WithTimeoutCause(s.ctx, s.pullLimit,
		fmt.Errorf("it takes longer than %v", s.pullLimit))
	defer stop()
	return s.pullTo(ctx, &target{subject: subject, kept: pub, network: s.network, line: line}, m, weak)
}

// pullTo updates a target over its line.
func (s *session) pullTo(ctx context.Context, t *target, m *method, weak bool) (sample, error) {
	t.deltaup, t.of = s.deltaup, m.of
	line := t.line
	// deltaup would measure the loopback, but shall do here what it does on the lines of the charts
	if line.Rate == 0 {
		t.line = planLine
	}
	var result sample
	err := s.withTarget(ctx, t, line, weak, func() error {
		if m.seed != nil {
			if err := m.seed(ctx, t); err != nil {
				return err
			}
		}
		if !s.Quick {
			unix.Sync() // so that this update does not write what others have left
		}
		if err := m.pull(ctx, t); err != nil {
			return err
		}
		return s.check(ctx, m, t)
	}, &result)
	result.route = t.route
	return result, err
}

// planLine is the line that deltaup is told on the loopback.
var planLine = Line{Rate: 10e6, RTT: 50 * time.Millisecond}

// withTarget makes a target with its line and calls fn. It puts into result what the target used
// and what its server sent.
func (s *session) withTarget(ctx context.Context, t *target, line Line, weak bool, fn func() error,
	result *sample) error {
	dir, err := os.MkdirTemp(s.dir, "target.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // the scratch folder goes in the end
	address, rest := "127.0.0.1", line
	t.host = host{dir: dir}
	t.out = filepath.Join(dir, "out")
	if weak && s.quota != nil {
		t.prefix = append(t.prefix, s.quota.prefix()...)
	} else if weak {
		t.env = append(t.env, "GOMAXPROCS=1")
	}
	if t.network == nil && line.lossy() {
		return fmt.Errorf("%v: without a network namespace no packet is lost", line)
	}
	if t.network != nil {
		address, rest = t.network.shape(ctx, line)
		t.prefix = append(t.prefix, t.network.prefix()...)
	}
	before := s.web.requests()
	server := newServer(rest)
	server.real = t.network != nil
	err = s.connect(ctx, server, address, t)
	if err == nil {
		err = fn()
	}
	if closed := server.close(); err == nil {
		err = closed
	}
	*result = sample{
		Usage:    t.used,
		sent:     server.link.sent.Load(),
		received: server.link.received.Load(),
		requests: s.web.requests() - before,
	}
	if weak && s.quota == nil {
		result.Wall += time.Duration(float64(result.CPU) * (1/weakShare - 1))
	}
	return err
}

// connect opens the server's ports and gives the target their URLs.
func (s *session) connect(ctx context.Context, server *server, address string, t *target) error {
	folder := filepath.Base(t.kept)
	addr, err := server.port(ctx, address, s.web.addr)
	if err != nil {
		return err
	}
	t.url = "http://" + addr + "/" + folder
	if s.rsync == nil {
		return nil
	}
	addr, err = server.port(ctx, address, s.rsync.addr)
	t.rsync = "rsync://" + addr + "/pub/" + folder
	return err
}

// check compares the result of an update with the new release.
func (s *session) check(ctx context.Context, m *method, t *target) error {
	if m.check != nil {
		return m.check(ctx, t)
	}
	sum, err := hashFile(t.out)
	if err != nil {
		return err
	}
	if want := t.subject.sum(m.of); sum != want {
		return fmt.Errorf("%s: the result has the hash %s, want %s", m.name, sum, want)
	}
	return nil
}

// measureAll runs every method several times in turn on the loopback.
func (s *session) measureAll() error {
	samples := make([][]sample, len(s.methods))
	for n := range s.report.Runs {
		if n > 0 && s.late(runsShare) {
			s.Log("  no time for more than %d runs", n)
			s.report.Runs = n
			break
		}
		for i := range s.methods {
			m, r := &s.methods[i], &s.report.Methods[i]
			if r.Failure != "" {
				continue
			}
			got, err := s.pull(m, Line{}, false)
			if err != nil {
				r.Failure = err.Error()
				s.Log("  %s: %v", m.name, err)
				continue
			}
			samples[i] = append(samples[i], got)
			r.Route = got.route
			s.Log(
				"  %-28s %7.2f MB, %5d requests, %6.2f s, %6.2f s CPU, %5.0f MiB",
				m.name,
				float64(got.sent)/1e6,
				got.requests,
				got.Wall.Seconds(),
				got.CPU.Seconds(),
				float64(got.Memory)/(1<<20),
			)
		}
	}
	for i := range samples {
		s.report.Methods[i].take(samples[i])
	}
	s.dropFailed()
	return s.ctx.Err()
}

// dropFailed moves methods that failed in any run to the skipped ones, since half of a method's
// figures would mislead.
func (s *session) dropFailed() {
	for i := 0; i < len(s.methods); i++ {
		if r := s.report.Methods[i]; r.Failure != "" {
			s.report.Skipped = append(s.report.Skipped, Skipped{r.Name, r.Failure})
			s.methods = slices.Delete(s.methods, i, i+1)
			s.report.Methods = slices.Delete(s.report.Methods, i, i+1)
			i--
		}
	}
}

// take computes the figures of samples.
func (r *Result) take(samples []sample) {
	collect := func(value func(sample) float64) Range {
		var v []float64
		for _, one := range samples {
			v = append(v, value(one))
		}
		return rangeOf(v)
	}
	r.Sent = collect(func(s sample) float64 { return float64(s.sent) })
	r.Received = collect(func(s sample) float64 { return float64(s.received) })
	r.Requests = collect(func(s sample) float64 { return float64(s.requests) })
	r.Wall = collect(func(s sample) float64 { return s.Wall.Seconds() })
	r.CPU = collect(func(s sample) float64 { return s.CPU.Seconds() })
	r.Memory = collect(func(s sample) float64 { return float64(s.Memory) })
}

// probeRoundTrips finds out how many round trips each method takes one after another.
func (s *session) probeRoundTrips() error {
	for i := range s.methods {
		m, r := &s.methods[i], &s.report.Methods[i]
		line, least := roundTripProbe(r, s.Quick), pullLimit
		// a disturbance only makes a run longer, so the least counts
		for n := 0; n == 0 || n < min(2, s.report.Runs) && least < 20*time.Second && !s.late(probeShare); n++ {
			got, err := s.pull(m, line, false)
			if err != nil {
				r.Failure = fmt.Sprintf("with a longer round trip: %v", err)
				break
			}
			least = min(least, got.Wall)
		}
		r.Rounds = max(1, (least.Seconds()-r.Wall.Min)/line.RTT.Seconds())
		s.Log("  %-28s %6.1f round trips", m.name, r.Rounds)
	}
	s.dropFailed()
	return nil
}

// weakened computes a method's time, in seconds, on the weak CPU and the loopback.
func weakened(r *Result) float64 { return r.Wall.Median + r.CPU.Median*(1/weakShare-1) }

// measureWeak runs every method once on the weak CPU. A quick run computes the times instead.
func (s *session) measureWeak() error {
	if s.Quick {
		s.report.Weak.Computed = true
		for i := range s.report.Methods {
			r := &s.report.Methods[i]
			r.WeakWall = weakened(r)
		}
		return nil
	}
	for i := range s.methods {
		m, r := &s.methods[i], &s.report.Methods[i]
		expected, left := weakened(r), s.left()-time.Duration(linesShare*float64(s.Budget))
		if expected > min(left.Seconds(), weakLimit.Seconds()) {
			r.WeakWall = expected
			why := fmt.Sprintf("it would take about %.0f s; it is computed", expected)
			s.report.Skipped = append(s.report.Skipped, Skipped{m.name + " on the weak CPU", why})
			continue
		}
		got, err := s.pull(m, Line{}, true)
		if err != nil {
			r.Failure = fmt.Sprintf("on the weak CPU: %v", err)
			continue
		}
		r.WeakWall = got.Wall.Seconds()
		s.Log("  %-28s %6.2f s", m.name, r.WeakWall)
	}
	s.dropFailed()
	return nil
}
