// Package faultserver is a web server for tests. It misbehaves on demand and counts what it sends.
//
// [New] starts a server in front of any handler. [Server.Add] adds a [Rule], which says which
// requests, by path and number, meet which [Fault]. [Server.Clear] removes all rules, to try again
// without faults. [Server.Requests] and [Server.BodyBytes] count requests and bytes since the last
// [Server.Reset].
//
//	f := faultserver.New(t, serve.Handler(dir))
//	f.Add(faultserver.Rule{Path: "packs/", Nth: 2, Fault: faultserver.Cut(1000)})
//	pull(f.URL) // the second request for a pack breaks off after 1000 bytes
package faultserver

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
)

// Rule says which requests meet a fault. Every rule that matches a request numbers it, and the
// first one with a fault for it applies.
type Rule struct {
	// Path says which files: a folder and everything below it ("packs/"), a pattern of path.Match
	// ("releases/*.json"), or "" for all. It has no leading slash.
	Path string
	// Nth says which of the rule's requests, counted from 1; 0 is all.
	Nth   int
	Fault Fault
}

func (r *Rule) matches(name string) bool {
	if r.Path == "" || strings.HasSuffix(r.Path, "/") && strings.HasPrefix(name, r.Path) {
		return true
	}
	ok, err := path.Match(r.Path, name)
	return ok && err == nil
}

// Request is one request and what was sent for it.
type Request struct {
	Path   string // no leading slash
	Header http.Header
	Status int
	Body   int64 // bytes of the body passed to the connection
}

// Server is a web server with faults. All methods may be called at any time, from any goroutine.
type Server struct {
	URL string // no trailing slash

	next http.Handler
	wire *countingListener

	mu    sync.Mutex
	rules []*numbered
	log   []*Request
}

type numbered struct {
	Rule
	seen int
}

// New starts a server in front of next. It ends with the test.
func New(tb testing.TB, next http.Handler) *Server {
	tb.Helper()
	s := &Server{next: next}
	ts := httptest.NewUnstartedServer(s)
	s.wire = &countingListener{Listener: ts.Listener}
	ts.Listener = s.wire
	ts.Start()
	tb.Cleanup(ts.Close)
	s.URL = ts.URL
	return s
}

// Add adds rules, which number requests from now on.
func (s *Server) Add(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rules {
		s.rules = append(s.rules, &numbered{Rule: r})
	}
}

// Clear removes all rules.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Log gives all requests since the last Reset, in order of arrival. Those under way have the bytes
// sent so far.
func (s *Server) Log() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := make([]Request, len(s.log))
	for i, r := range s.log {
		log[i] = *r
	}
	return log
}

// Requests is how many requests came for files that match path (see [Rule]) since the last Reset.
func (s *Server) Requests(path string) int {
	n := 0
	for _, r := range s.Log() {
		if (&Rule{Path: path}).matches(r.Path) {
			n++
		}
	}
	return n
}

// BodyBytes is how many bytes of bodies the server has sent of files that match path since the last
// Reset. When an answer breaks off, the client may have received less.
func (s *Server) BodyBytes(path string) int64 {
	n := int64(0)
	for _, r := range s.Log() {
		if (&Rule{Path: path}).matches(r.Path) {
			n += r.Body
		}
	}
	return n
}

// WireBytes is how many bytes the server has written to all connections, with headers, since the
// last Reset.
func (s *Server) WireBytes() int64 { return s.wire.sent.Load() }

// Reset sets all counts to zero. Rules stay, with their numbers.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
	s.wire.sent.Store(0)
}

// ServeHTTP counts the request. It answers with the fault of the first rule that applies, or as
// next does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := &Request{Path: strings.TrimPrefix(r.URL.Path, "/"), Header: r.Header.Clone()}
	fault := s.enter(entry)
	cw := &countingWriter{ResponseWriter: w, count: func(status int, n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if entry.Status == 0 {
			entry.Status = status
		}
		entry.Body += int64(n)
	}}
	if fault == nil {
		s.next.ServeHTTP(cw, r)
		return
	}
	fault(cw, r, s.next)
}

// enter logs a request and finds its fault.
func (s *Server) enter(entry *Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, entry)
	var fault Fault
	for _, rule := range s.rules {
		if !rule.matches(entry.Path) {
			continue
		}
		rule.seen++
		if fault == nil && (rule.Nth == 0 || rule.Nth == rule.seen) {
			fault = rule.Fault
		}
	}
	return fault
}
