package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// answering is a message bus or systemd at its socket, that gives one state after another, the last
// one for ever.
type answering struct {
	t       *testing.T
	isBus   bool
	states  []string // "": it hangs up
	then    func()   // called with each question; may be nil
	asked   atomic.Int64
	greeted atomic.Int64
}

func (a *answering) listen(socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(conn)
		}
	}()
}

// serve is the other end of D-Bus's authentication, and of the calls that are made.
func (a *answering) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for begun := false; !begun; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := "ERROR\r\n"
		switch line = strings.TrimSpace(strings.TrimPrefix(line, "\x00")); {
		case line == "AUTH":
			answer = "REJECTED EXTERNAL\r\n"
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		case line == "BEGIN":
			answer, begun = "", true
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		body := a.answer(call)
		if body == nil {
			return
		}
		reply := dbus.Message{Type: dbus.TypeMethodReply, Body: []any{body}, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()), dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body)),
		}}
		if reply.EncodeTo(conn, binary.LittleEndian) != nil {
			return // nobody waits for it any more
		}
	}
}

// answer is what a call gives; nil: it hangs up.
func (a *answering) answer(call *dbus.Message) any {
	switch member := call.Headers[dbus.FieldMember].Value(); {
	case member == "Hello" && a.isBus:
		a.greeted.Add(1)
		return ":1.7"
	case member == "Get" && call.Body[1] == "SystemState":
		n := int(a.asked.Add(1))
		if a.then != nil {
			a.then()
		}
		if state := a.states[min(n, len(a.states))-1]; state != "" {
			return dbus.MakeVariant(state)
		}
	default:
		a.t.Errorf("call of %v", member)
	}
	return nil
}

func TestWaitForBoot(t *testing.T) {
	for name, c := range map[string]struct {
		bus, own []string // states; nil: there is none
		asked    int64
		fails    string
	}{
		"running":        {bus: []string{"initializing", "starting", "running"}, asked: 3},
		"a unit failed":  {bus: []string{"starting", "degraded"}, own: []string{"running"}, asked: 2},
		"a new bus":      {bus: []string{"starting", "", "", "starting", "running"}, asked: 5},
		"no bus":         {own: []string{"starting", "running"}, asked: 2},
		"no answer":      {bus: []string{"starting", ""}, own: []string{"running"}, asked: 1 + 4, fails: "ask systemd"},
		"nobody answers": {fails: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := systemd{dir, filepath.Join(dir, "bus"), filepath.Join(dir, "own"), time.Millisecond, 4}
			bus, own := &answering{t: t, isBus: true, states: c.bus}, &answering{t: t, states: c.own}
			if c.bus != nil {
				bus.listen(s.bus)
			}
			if c.own != nil {
				own.listen(s.own)
			}
			err := s.wait(t.Context())
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if got := bus.asked.Load() + own.asked.Load(); got != c.asked || c.bus != nil && (own.asked.Load() != 0 || bus.greeted.Load() == 0) {
				t.Errorf("asked the bus %d times, systemd %d times, want %d", bus.asked.Load(), own.asked.Load(), c.asked)
			}
		})
	}
	if err := (systemd{runs: filepath.Join(t.TempDir(), "none")}).wait(t.Context()); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("without systemd: %v", err)
	}
}

// TestWaitForBootEnds has a boot that does not end before the recording does.
func TestWaitForBootEnds(t *testing.T) {
	dir := t.TempDir()
	s := systemd{dir, filepath.Join(dir, "bus"), filepath.Join(dir, "own"), time.Hour, 4}
	a := &answering{t: t, isBus: true, states: []string{"starting"}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	a.then = stop
	a.listen(s.bus)
	if err := s.wait(ctx); err != nil || a.asked.Load() != 1 {
		t.Errorf("asked %d times, %v", a.asked.Load(), err)
	}
}
