// Package bench measures what an update costs, to download and to rebuild, with deltaup and with
// other tools. It really runs each tool, over a line that is really shaped, and compares each
// result with the new release. [Run] makes a [Report]. [Report.WriteFiles] writes it as JSON,
// Markdown and one HTML page with charts.
//
// Times and memory are those of processes; bytes are counted at the server's end of connections.
// The package runs the binary of deltaup like any other tool, and imports nothing of deltaup.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Options say what to measure.
type Options struct {
	Deltaup string    // path of the binary
	Name    string    // name of the pair, for the report
	Pair    [2]string // old and new: tars, folders or squashfs images
	// folder in which Run makes a scratch folder, some tens of GB in a full run; "": the system's
	Scratch string
	Quick   bool          // one run of each method, no slow methods
	Budget  time.Duration // about the longest time of the run, which then has fewer points
	Level   string        // deltaup mkimage --level
	Only    []string      // ids of methods to run; nil: all
	Jobs    int           // ways that RunWhole measures at a time; 0: one for each CPU
	Log     func(format string, args ...any)
}

// weakShare is the share of one core that is the weak CPU.
const weakShare = 0.25

// roundTripProbe is the line that shows how many round trips a method takes one after another. Its
// round trip is long enough to exceed the differences between runs, and shorter for methods with
// many requests.
func roundTripProbe(m *Result, quick bool) Line {
	switch n := m.Requests.Median; {
	case n > 500:
		return Line{RTT: 5 * time.Millisecond}
	case n > 60:
		return Line{RTT: 20 * time.Millisecond}
	case n > 12 || quick:
		return Line{RTT: 100 * time.Millisecond}
	}
	return Line{RTT: 400 * time.Millisecond}
}

// Shares of the budget that bound the parts with several runs of all methods.
const (
	runsShare  = 0.35 // after this share no further run on the loopback begins
	probeShare = 0.45 // after this share no second probe of round trips begins
	linesShare = 0.45 // this share is kept for updates on real lines
)

// weakLimit is how long an update on the weak CPU may take. Longer ones are computed.
const weakLimit = 40 * time.Second

// late tells whether this share of the budget is used up.
func (s *session) late(share float64) bool {
	return time.Since(s.start).Seconds() > share*s.Budget.Seconds()
}

// prepareLimit is how long a publisher's preparation may take in a run within a budget.
const prepareLimit = 6 * time.Minute

// session is a run under way.
type session struct {
	Options
	ctx     context.Context
	dir     string
	start   time.Time
	deltaup deltaup
	report  *Report
	network *namespace // nil: targets use the loopback
	quota   *quota     // nil: it could not be made
	methods []method   // methods that have not failed
	web     *daemon
	rsync   *daemon // nil: rsync is not installed
	stage   time.Time
	// how long one preparation and one update may take
	prepareLimit, pullLimit time.Duration
	pulling                 sync.Mutex // held while an update's requests are counted
	noting                  sync.Mutex // held while an update beside others is noted in the report
}

// Run measures and gives the report. The report has the failures of single methods; an error is
// about the whole run.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	s, remove, err := newSession(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := s.run(); err != nil {
		return nil, err
	}
	s.report.Took = time.Since(s.start)
	return s.report, nil
}

// newSession makes a session with its host, scratch folder and empty report. remove removes host
// and folder.
func newSession(ctx context.Context, o Options) (_ *session, remove func() error, err error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	dir, err := os.MkdirTemp(o.Scratch, "deltaup-bench.")
	if err != nil {
		return nil, nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &session{
		Options: o, ctx: ctx, dir: abs, start: time.Now(), stage: time.Now(),
		prepareLimit: prepareLimit, pullLimit: pullLimit,
	}
	s.report = &Report{
		Format:  reportFormat,
		Date:    s.start.UTC().Truncate(time.Second),
		Quick:   o.Quick,
		Machine: thisMachine(abs),
		Runs:    3,
	}
	if o.Quick {
		s.report.Runs = 1
	}
	if s.deltaup, err = findDeltaup(ctx, o.Deltaup); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	takeAway := s.makeHost()
	return s, func() error {
		takeAway()
		return os.RemoveAll(abs)
	}, nil
}

// run runs the parts of the session. Parts that only refine the report come last, with what time is
// left.
func (s *session) run() error {
	stop, err := s.startServers()
	if err != nil {
		return err
	}
	defer stop()
	s.Log("images of %s", s.Name)
	dir := filepath.Join(s.dir, "subject")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	subject, err := prepareSubject(s.ctx, s.deltaup, dir, s.Name, s.Level, s.Pair)
	if err != nil {
		return err
	}
	s.report.Subject = *subject
	s.done("images")
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"publishing", s.publishAll},
		{"loopback", s.measureAll},
		{"round trips", s.probeRoundTrips},
		{"weak CPU", s.measureWeak},
		{"plans", s.computeAll},
		{"lines", s.runLines},
	} {
		s.Log("%s", part.name)
		if err := part.run(); err != nil { // the other parts are still worth a report
			s.Log("  %s: %v", part.name, err)
			s.report.Skipped = append(s.report.Skipped, Skipped{part.name, err.Error()})
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
		s.done(part.name)
	}
	return nil
}

// startServers starts the servers that serve the folder pub.
func (s *session) startServers() (stop func(), err error) {
	pub := filepath.Join(s.dir, "pub")
	if err := os.Mkdir(pub, 0o755); err != nil {
		return nil, err
	}
	if s.web, err = webServer(s.ctx, pub, s.dir); err != nil {
		return nil, err
	}
	s.report.Server = s.web.name
	if _, err := exec.LookPath("rsync"); err != nil {
		return s.web.stop, nil
	}
	if s.rsync, err = rsyncServer(s.ctx, pub, s.dir); err != nil {
		s.web.stop()
		return nil, err
	}
	return func() { s.web.stop(); s.rsync.stop() }, nil
}

// done notes the time since the last part under name.
func (s *session) done(name string) {
	s.report.Stages = append(s.report.Stages, Stage{name, time.Since(s.stage)})
	s.stage = time.Now()
}

// left is the rest of the budget.
func (s *session) left() time.Duration { return s.Budget - time.Since(s.start) }

// makeHost makes the target's network and CPU, as far as the machine permits, and describes them in
// the report. remove removes them.
func (s *session) makeHost() (remove func()) {
	var err error
	if s.network, err = newNamespace(s.ctx); err != nil {
		s.Log("no network namespace: %v", err)
		s.report.Shaping = "in the bench's own process: rate and delay on the loopback, without TCP's slow start"
	} else {
		s.report.Shaping = "a network namespace behind a relay of the bench, which delays, queues and drops the packets of the kernel's TCP (" + congestion + ")"
	}
	s.report.Weak = Weak{Share: weakShare}
	if s.quota, err = newQuota(weakShare); err != nil {
		s.Log("no CPU quota: %v", err)
		s.report.Weak.Computed = true
		s.report.Weak.How = fmt.Sprintf("GOMAXPROCS=1, CPU time times %g", 1/weakShare)
	} else {
		s.report.Weak.How = s.quota.version()
	}
	return func() {
		if s.network != nil {
			if err := s.network.remove(); err != nil {
				s.Log("%v", err)
			}
		}
		if s.quota != nil {
			if err := s.quota.remove(); err != nil {
				s.Log("%v", err)
			}
		}
	}
}
