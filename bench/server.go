package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// server is the publisher's end of a line. Its ports forward connections to real servers on the
// loopback, and shape and count them.
type server struct {
	link  *link
	real  bool // its ports are at the end of a real line
	ports []net.Listener
	work  sync.WaitGroup
}

// newServer makes a server without ports.
func newServer(line Line) *server { return &server{link: newLink(line)} }

// port opens a port on an address that forwards to another address.
func (s *server) port(ctx context.Context, address, to string) (addr string, err error) {
	var listening net.ListenConfig
	if s.real {
		listening.Control = setCongestion
	}
	l, err := listening.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", err
	}
	s.ports = append(s.ports, l)
	shaped := s.link.listener(l)
	s.work.Go(func() {
		for {
			c, err := shaped.Accept()
			if err != nil {
				return // close has closed l
			}
			s.work.Go(func() { s.forward(ctx, c, to) })
		}
	})
	return l.Addr().String(), nil
}

// congestion is the congestion control of the server's TCP, which decides how losses slow it:
// Linux's own default, whatever this machine's is.
const congestion = "cubic"

// setCongestion sets a socket's congestion control.
func setCongestion(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	})
	return errors.Join(err, failed)
}

// forward carries a connection until both sides have ended.
func (s *server) forward(ctx context.Context, c net.Conn, to string) {
	defer c.Close() // Close waits until what is under way has arrived
	d, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return // the target sees that its connection ends at once
	}
	defer d.Close() // everything has been sent
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(d, c) // either end may close first
		_ = d.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, d)
	_ = c.Close()
	up.Wait()
}

// close closes the server once what is under way has arrived.
func (s *server) close() error {
	var errs []error
	for _, l := range s.ports {
		errs = append(errs, l.Close())
	}
	s.work.Wait()
	s.link.pumps.Wait()
	return errors.Join(errs...)
}
