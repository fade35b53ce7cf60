// Package client reads a mirror from a target, over HTTP or from a folder: [New] makes a [Client]
// of one or more mirrors that hold the same files.
//
// A client holds bytes against hashes that its caller names, tries again, goes on where an answer
// broke off, and turns to another mirror when one fails or sends damaged bytes.
package client

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

var (
	// ErrUnreachable is wrapped when no mirror answered usefully, after all retries.
	ErrUnreachable = errors.New("unreachable")
	// ErrMissing is wrapped when every mirror that says anything of a file says that it has none.
	ErrMissing = errors.New("missing on the mirror")
	// ErrLacking is wrapped beside ErrUnreachable when one mirror has no such file and another did
	// not answer.
	ErrLacking = errors.New("missing on one mirror")
	// ErrDenied is wrapped beside ErrUnreachable when every mirror refuses to answer: as a rule for
	// want of credentials.
	ErrDenied = errors.New("the server refuses")
	// ErrPage is wrapped beside ErrDamaged when a web page comes in the place of a file, such as
	// one that asks for a login.
	ErrPage = errors.New(
		"a web page came in its place, as where a network or a server asks for a login",
	)
	// ErrTooLong is wrapped beside ErrDamaged when what a mirror sends goes on for longer than it
	// may.
	ErrTooLong = errors.New("longer than it may be")
	// ErrEncoding is wrapped beside ErrDamaged when a server sends a file compressed, which it was
	// not asked for.
	ErrEncoding = errors.New("compressed on the way, which was not asked for")
	// ErrSlow is wrapped beside ErrUnreachable when a mirror sends so little that it could keep a
	// target waiting for ever.
	ErrSlow = errors.New("it sends too slowly to ever come to an end")
	// ErrBudget is wrapped when going on would exceed [Options].MaxBytes.
	ErrBudget = errors.New("byte limit reached")
)

// Defaults of [Options].
const (
	defaultTimeout    = 60 * time.Second
	defaultMinRate    = 64
	defaultRetries    = 5
	defaultRetryDelay = 500 * time.Millisecond
)

// Options tune a [Client]; the zero value suits an unattended target.
type Options struct {
	// Timeout is the longest wait for one further byte, the first of an answer included; 0 is 60 s.
	// How long a whole answer takes does not matter. Requests that run at once share a line, so
	// each is granted the Timeout times their number.
	Timeout time.Duration
	// MinRate is the fewest bytes per second that a mirror has to send while it is waited for, on
	// average over one Timeout and over all its answers. A mirror that sends less is given up for
	// the file and asked last for all others: it could keep a target waiting for ever, a byte at a
	// time. 0 is 64, a negative number is none.
	MinRate int64
	// Retries is how often, after a pause, all mirrors are tried again without progress in between:
	// as many bytes as MinRate asks of the pauses, and at least one. 0 is 5, a negative number is
	// none.
	Retries int
	// RetryDelay is about the first pause; it doubles up to a minute. 0 is 500 ms.
	RetryDelay time.Duration
	// RateLimit is in body bytes per second over all requests together; 0 is no limit.
	RateLimit int64
	// Connections is how many connections to an HTTP/1 server are opened at once, as soon as it is
	// known to be one, so that requests which are sent at once later need not wait for them. Then
	// [Client.FetchOnce] takes several, too. 0: each is opened for the request that needs it.
	Connections int
	// MaxBytes is how many body bytes the client may receive in its life; 0 is no limit.
	MaxBytes int64
	// HTTP says how the server is spoken to whose host, and port if it is given, a mirror's URL
	// has. It may be nil.
	HTTP func(host string) HTTP
	// userAgent is sent with each request; "" is deltaup.
	userAgent string
	// Log learns of what went wrong and was worked around. It is not called by two
	// goroutines at once, must not call the client, and may be nil.
	Log func(Event)
}

// Event tells of a failure that the client works around.
type Event struct {
	Mirror string        // where it happened, without its password
	Object string        // the file's name on the mirror
	Err    error         // what happened
	Pause  time.Duration // before the next try
	Text   string        // all of that as one line for people
}

// Stats counts what a client has done so far.
type Stats struct {
	Requests  int   // sent, retries included; files opened in a folder count too
	BytesBody int64 // of answers' bodies, those read and dropped included
	Retries   int   // requests sent because an earlier one failed or broke off
}

// Client reads a mirror, or several that hold the same files. All methods may be used by several
// goroutines at once.
type Client struct {
	o       Options
	sites   []*site
	limiter *rate.Limiter // nil: no limit
	budget  budget
	active  atomic.Int64 // answers being awaited or read

	mu    sync.Mutex // guards stats, ahead, rtt and what changes in sites
	stats Stats
	ahead map[string]*ahead // by file: requests that were sent before their turn
	rtt   time.Duration     // the shortest that an answer took; 0: none has come

	logging sync.Mutex // held while o.Log runs
}

// New makes a client of one or more mirrors, each an http://, https:// or file:// URL or a folder's
// path. The first is preferred; the others take over for each request that it fails. Nothing of a
// mirror is opened yet.
func New(mirrors []string, o Options) (*Client, error) {
	if len(mirrors) == 0 {
		return nil, errors.New("no mirror given")
	}
	o.setDefaults()
	c := &Client{o: o, limiter: newLimiter(o.RateLimit), budget: budget{max: o.MaxBytes},
		ahead: map[string]*ahead{}}
	if o.MaxBytes <= 0 {
		c.budget.max = math.MaxInt64
	}
	for i, m := range mirrors {
		src, err := parseSource(m, c.newWeb)
		if err != nil {
			return nil, fmt.Errorf("mirror %d: %w", i+1, err)
		}
		c.sites = append(c.sites, &site{source: src, suspicions: map[string]int{}})
	}
	return c, nil
}

// Local tells whether the preferred mirror is a folder, or a server on this machine: how quickly
// that answers says nothing of a line.
func (c *Client) Local() bool {
	w, ok := c.sites[0].source.(*webSource)
	if !ok {
		return true
	}
	return local(w.base.Hostname())
}

// local tells whether a host is this machine.
func local(host string) bool {
	return host == "localhost" || parseAddress(host).IsLoopback()
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MinRate == 0 {
		o.MinRate = defaultMinRate
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.RetryDelay <= 0 {
		o.RetryDelay = defaultRetryDelay
	}
	if o.userAgent == "" {
		o.userAgent = "deltaup"
	}
}

// Close drops the connections that are kept for another request. What is under way goes on.
func (c *Client) Close() {
	for _, s := range c.sites {
		if w, ok := s.source.(*webSource); ok {
			w.client.CloseIdleConnections()
			w.dialer.close()
		}
	}
}

// Stats tells what the client has done so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// RTT is about a round trip to the mirrors: the shortest time in which an answer began to come. It
// is 0 before the first answer, and too long before one that needed no new connection.
func (c *Client) RTT() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rtt
}

func (c *Client) log(e Event) {
	if c.o.Log == nil {
		return
	}
	c.logging.Lock()
	defer c.logging.Unlock()
	c.o.Log(e)
}
