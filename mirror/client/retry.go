package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxPause      = time.Minute
	maxRetryAfter = 2 * time.Minute // what a server may ask for; it is asked again then
	failedLately  = time.Minute     // how long a mirror that failed is asked last
	admittedFor   = time.Minute     // how long a mirror that sends something is not doubted
	hopeless      = 2               // a suspicion from which on a mirror gets no further chance
)

// site is one mirror of a client, and how it has been doing. Client.mu guards all but source.
type site struct {
	source
	failed    time.Time // when a request failed for a reason that may pass
	notBefore time.Time // it asked to be left alone until then
	ranges    rangeSupport
	proof     string    // the first file that it has sent
	admitted  time.Time // when it last sent that on being asked whether it sends anything
	// suspicions has the files that came corrupt from it: 1 once, 2 also past all caches.
	suspicions map[string]int
}

// tries chooses the mirror for each request that one reading of a file takes. It is for one
// goroutine.
type tries struct {
	ctx  context.Context
	c    *Client
	name string
	part bool // mirrors that send whole files are of no use
	// optional is a file that need not be there: the first mirror that has none ends the waiting
	// for others.
	optional bool
	// once is an optional file that is of no use when it does not come from the first mirror that
	// answers.
	once     bool
	sites    map[*site]*trial // those that failed
	last     *site            // that failed last
	sent     int              // requests
	rounds   int              // pauses that what came since does not make up for
	due, got int64            // bytes that would, and those that came
	delay    *backoff.ExponentialBackOff
}

// trial is how a site did in one reading of a file.
type trial struct {
	err   error // the last
	tried bool  // since the last pause or byte
	over  bool  // it gets no further chance
}

func (c *Client) newTries(ctx context.Context, name string) *tries {
	delay := backoff.NewExponentialBackOff()
	delay.InitialInterval = c.o.RetryDelay
	delay.MaxInterval = maxPause
	delay.Multiplier = 2
	return &tries{ctx: ctx, c: c, name: name, sites: map[*site]*trial{}, delay: delay}
}

// next returns the mirror to send the next request to, after a pause when all have just failed. Its
// error is final. The second result is how much the mirror is suspected of sending a corrupt file.
func (t *tries) next(offset int64) (*site, int, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", t.name, err)
	}
	order := t.order(offset)
	if len(order) == 0 {
		return nil, 0, t.final()
	}
	var pause time.Duration
	i := slices.IndexFunc(order, func(s *site) bool { return !t.at(s).tried })
	if i < 0 {
		if t.rounds++; t.rounds > t.c.o.Retries || t.optional && t.absentSomewhere() {
			return nil, 0, t.final()
		}
		for _, trial := range t.sites {
			trial.tried = false
		}
		i = 0
		pause = t.delay.NextBackOff()
	}
	s := order[i]
	t.c.mu.Lock()
	pause = max(pause, time.Until(s.notBefore))
	t.due += int64(pause.Seconds() * float64(t.c.o.MinRate))
	suspicion := s.suspicions[t.name]
	t.c.mu.Unlock()
	t.announce(s, offset, pause)
	if err := sleep(t.ctx, pause); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", t.name, err)
	}
	t.sent++
	return s, suspicion, nil
}

func (t *tries) at(s *site) *trial {
	if t.sites[s] == nil {
		t.sites[s] = new(trial)
	}
	return t.sites[s]
}

// order lists the mirrors that still have a chance, the most promising first.
func (t *tries) order(offset int64) []*site {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	now := time.Now()
	var order []*site
	for _, s := range t.c.sites {
		if trial := t.at(s); t.part && s.ranges == sendsWhole && !trial.over {
			trial.err, trial.over = errWhole, true
		}
		if !t.at(s).over {
			order = append(order, s)
		}
	}
	bad := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	rank := func(s *site) [5]int {
		return [5]int{
			s.suspicions[t.name],
			bad(s.slow()),
			bad(s.notBefore.After(now)),
			bad(now.Sub(s.failed) < failedLately),
			bad(s.ranges == sendsWhole && offset > 0),
		}
	}
	slices.SortStableFunc(order, func(a, b *site) int {
		x, y := rank(a), rank(b)
		return slices.Compare(x[:], y[:])
	})
	return order
}

// fail notes that a request to s failed; suspicion is what next returned with it.
func (t *tries) fail(s *site, suspicion int, err error) {
	if t.ctx.Err() == nil { // else it is not the mirror's fault
		t.note(s, suspicion, asFailure(err))
	}
}

func (t *tries) note(s *site, suspicion int, f *failure) {
	trial := t.at(s)
	trial.err, trial.tried = f, true
	t.last = s
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	switch f.kind {
	case passingFailure:
		s.failed = time.Now()
		if f.after > 0 {
			s.notBefore = s.failed.Add(min(f.after, maxRetryAfter))
		}
	case corruptFailure:
		trial.over = s.suspect(t.name, suspicion+1) >= hopeless
	default:
		trial.over = true
	}
	if t.once && f.kind != passingFailure {
		for _, other := range t.c.sites {
			t.at(other).over = true
		}
	}
}

// suspect raises the suspicion of s to level and returns what it is now. Parallel
// requests that meet the same damage raise it once.
func (s *site) suspect(name string, level int) int {
	s.suspicions[name] = max(s.suspicions[name], level)
	return s.suspicions[name]
}

// progress notes that n bytes have come from s. With fewer than the least rate asks of the pauses
// so far, these go on being counted: a mirror that breaks off after each byte would be waited for
// for ever.
func (t *tries) progress(s *site, n int) {
	if t.got += int64(n); t.got >= t.due {
		t.rounds, t.due, t.got = 0, 0, 0
		t.delay.Reset()
	}
	t.last = nil
	for _, trial := range t.sites {
		trial.tried = false
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	s.failed = time.Time{}
}

// final is the error when no mirror has a chance left.
func (t *tries) final() error {
	if !t.optional {
		t.settle()
	}
	var said []saying
	for _, s := range t.c.sites {
		if err := t.at(s).err; err != nil {
			said = append(said, saying{s.String(), err})
		}
	}
	if err := t.c.noFolders(said); err != nil {
		return err
	}
	e := newFileError(t.name, said)
	if t.optional && t.absentSomewhere() {
		e.is = []error{ErrMissing}
	}
	return e
}

// announce logs a failure and what is done about it.
func (t *tries) announce(s *site, offset int64, pause time.Duration) {
	if t.last == nil {
		return
	}
	e := Event{Mirror: t.last.String(), Object: t.name, Err: t.at(t.last).err, Pause: pause}
	what := "trying again"
	if offset > 0 {
		what = fmt.Sprintf("going on at byte %d", offset)
	}
	if s != t.last {
		what += " from " + s.String()
	}
	if pause > 0 {
		what += " in " + pause.Round(time.Millisecond).String()
	}
	e.Text = fmt.Sprintf("%s: %s: %v; %s", e.Mirror, e.Object, e.Err, what)
	t.c.log(e)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
