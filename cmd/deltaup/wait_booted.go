package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"deltaup/internal/dbus"
)

// systemd says how a running one is asked for the end of the boot.
type systemd struct {
	runs     string        // folder that is there when it runs, sd_booted(3)
	bus      string        // socket of the message bus, which comes in the course of a boot
	own      string        // socket of its own
	pause    time.Duration // between two questions
	patience int           // how many in a row may fail
}

// bootedSystemd is this machine's.
var bootedSystemd = systemd{
	"/run/systemd/system",
	"/run/dbus/system_bus_socket",
	"/run/systemd/private",
	time.Second,
	60,
}

// wait blocks until no job of the boot is left, boot-complete.target among them, or ctx ends. A
// unit that failed makes no difference.
//
// It asks from time to time. Were it told (systemctl is-system-running --wait, or a connection to
// systemd's own socket), systemd would write down every change of every unit, which costs a boot
// more than the recording itself. So its own socket is for systems that have no bus.
func (s systemd) wait(ctx context.Context) error {
	if _, err := os.Stat(s.runs); err != nil {
		return errors.New("wait for the end of the boot: systemd does not run here")
	}
	var conn *dbus.Conn
	defer func() {
		if conn != nil {
			conn.Close() // nothing is written any more
		}
	}()
	for failed := 0; ; {
		var state string
		var err error
		if conn == nil {
			conn, err = s.connect(ctx, failed >= s.patience/2)
		}
		if err == nil {
			state, err = systemState(ctx, conn)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && state != "initializing" && state != "starting":
			return nil
		case err == nil:
			failed = 0
		default:
			if failed++; failed == s.patience {
				return fmt.Errorf("wait for the end of the boot: ask systemd: %w", err)
			}
			if conn != nil {
				conn.Close() // a new one is made
				conn = nil
			}
		}
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// connect gives a connection to the bus, or to systemd itself if there is no bus and own is set.
func (s systemd) connect(ctx context.Context, own bool) (*dbus.Conn, error) {
	socket, isBus := s.bus, true
	if _, err := os.Stat(s.bus); errors.Is(err, os.ErrNotExist) && own {
		socket, isBus = s.own, false
	}
	return dbus.Dial(ctx, socket, isBus)
}

// systemState asks for systemd's property of that name.
func systemState(ctx context.Context, conn *dbus.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return conn.Property(ctx, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "SystemState")
}
