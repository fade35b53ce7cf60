package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// server is a publisher's end of a line: ports that pass connections on to real servers on the
// loopback, shaped and counted.
type server struct {
	link  *link
	ports []net.Listener
	work  sync.WaitGroup
}

// newServer makes a server without ports.
func newServer(line Line) *server { return &server{link: newLink(line)} }

// port opens a port on an address that leads to another.
func (s *server) port(ctx context.Context, address, to string) (addr string, err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", err
	}
	s.ports = append(s.ports, l)
	shaped := s.link.listener(l)
	s.work.Go(func() {
		for {
			c, err := shaped.Accept()
			if err != nil {
				return // closed
			}
			s.work.Go(func() { s.forward(ctx, c, to) })
		}
	})
	return l.Addr().String(), nil
}

// forward carries a connection until both sides have ended.
func (s *server) forward(ctx context.Context, c net.Conn, to string) {
	defer c.Close() // what is under way still arrives
	d, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return // the target finds a connection that ends at once
	}
	defer d.Close() // nothing is unsent
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(d, c) // either end may go first
		_ = d.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, d)
	_ = c.Close()
	up.Wait()
}

// close ends the server; what is under way arrives first.
func (s *server) close() error {
	var errs []error
	for _, l := range s.ports {
		errs = append(errs, l.Close())
	}
	s.work.Wait()
	s.link.pumps.Wait()
	return errors.Join(errs...)
}
