// Package roundserver is a server that counts round trips, for tests.
//
// Time does not count: a request that a client sends before an answer has come belongs to the round
// of that answer, however long either takes. A new connection takes a round, and TLS 1.3 on it
// another.
package roundserver

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Protocol is how the server is spoken to.
type Protocol string

// The protocols.
const (
	Plain Protocol = "HTTP/1.1 without TLS"
	TLS   Protocol = "HTTP/1.1 with TLS"
	HTTP2 Protocol = "HTTP/2"
)

// delay is for how long an answer is held back, so that requests which are sent at once arrive
// before it.
const delay = 300 * time.Millisecond

// Server counts the rounds in which a handler is asked.
type Server struct {
	URL    string
	CAFile string // the certificate of a server with TLS, in PEM
	tb     testing.TB
	next   http.Handler
	setup  int // rounds of a new connection

	mu     sync.Mutex
	clock  int // rounds that the client has seen the end of
	names  []string
	opened int // connections
}

// connection is when a connection was opened, by the server's clock.
type connection struct{}

// New starts a server for files that next serves. It ends with the test.
func New(tb testing.TB, next http.Handler, how Protocol) *Server {
	tb.Helper()
	s := &Server{tb: tb, next: next, setup: 1}
	srv := httptest.NewUnstartedServer(s)
	srv.EnableHTTP2 = how == HTTP2
	srv.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened++
		return context.WithValue(ctx, connection{}, s.clock)
	}
	if how == Plain {
		srv.Start()
	} else {
		s.setup++
		srv.StartTLS()
		s.CAFile = filepath.Join(tb.TempDir(), "ca.pem")
		writeCertificate(tb, s.CAFile, srv.Certificate())
	}
	s.URL = srv.URL
	tb.Cleanup(srv.Close)
	return s
}

func writeCertificate(tb testing.TB, path string, c *x509.Certificate) {
	tb.Helper()
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// ServeHTTP answers in the round after that in which the request was sent.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	opened, _ := r.Context().Value(connection{}).(int)
	s.mu.Lock()
	sent := max(s.clock, opened+s.setup)
	s.names = append(s.names, r.URL.Path[1:])
	s.mu.Unlock()
	time.Sleep(delay)
	s.mu.Lock()
	s.clock = max(s.clock, sent+1)
	s.mu.Unlock()
	s.next.ServeHTTP(w, r)
}

// Count gives the rounds, what was asked for, and the connections that were opened since the last
// time, and begins anew.
func (s *Server) Count() (rounds int, names []string, connections int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rounds, names, connections = s.clock, s.names, s.opened
	s.clock, s.names, s.opened = 0, nil, 0
	return rounds, names, connections
}
