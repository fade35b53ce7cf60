// Package dbus asks for properties on D-Bus, as "D-Bus Specification" 0.43 has it: one call at a
// time, with strings. It is no client of the bus otherwise; a library for that makes the command
// for targets 300 kB larger.
package dbus

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Conn is a connection to a message bus, or to a service that listens at a socket of its own. It is
// for one goroutine.
type Conn struct {
	conn   net.Conn
	in     *bufio.Reader
	serial uint32 // of the last call
}

// Dial connects to the socket at path, and introduces itself where that is a message bus.
func Dial(ctx context.Context, path string, bus bool) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, in: bufio.NewReader(conn)}
	err = c.within(ctx, func() error {
		if err := c.authenticate(); err != nil || !bus {
			return err
		}
		_, err := c.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
			"Hello")
		return err
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Property gives a property that is a string, of an interface that the object at path of a service
// has. After an error the connection is of no use.
func (c *Conn) Property(ctx context.Context, service, path, iface, name string) (string, error) {
	var value string
	err := c.within(ctx, func() error {
		reply, err := c.call(service, path, "org.freedesktop.DBus.Properties", "Get", iface, name)
		if err == nil {
			value, err = reply.variant()
		}
		return err
	})
	return value, err
}

// within runs talk, which ends early when ctx does.
func (c *Conn) within(ctx context.Context, talk func() error) error {
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := talk()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// authenticate says who this process is: the kernel tells the other end the same.
func (c *Conn) authenticate() error {
	id := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	if _, err := fmt.Fprintf(c.conn, "\x00AUTH EXTERNAL %s\r\n", id); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n') // bounded by the buffer
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "OK ") {
		return fmt.Errorf("D-Bus: not let in: %q", line)
	}
	_, err = c.conn.Write([]byte("BEGIN\r\n"))
	return err
}

// call calls a method with strings, and waits for the reply.
func (c *Conn) call(service, path, iface, method string, args ...string) (*message, error) {
	c.serial++
	if _, err := c.conn.Write(encodeCall(c.serial, service, path, iface, method, args)); err != nil {
		return nil, err
	}
	for {
		m, err := readMessage(c.in)
		switch {
		case err != nil:
			return nil, err
		case m.replyTo != c.serial: // a signal
		case m.kind == typeReply:
			return m, nil
		case m.kind == typeError:
			return nil, fmt.Errorf("D-Bus: %s answers %s", service, m.errorName)
		}
	}
}
