package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// namespace is a target's network. Two passages lead from it to the server: a [relay], and a pair of
// virtual interfaces for what needs no relay. It needs root, iproute2 and /dev/net/tun.
type namespace struct {
	name    string
	pair    passage // virtual interfaces
	lines   passage // TUN devices, between which the relay is
	relay   *relay
	changes uint64 // how often the relay became another line
}

// passage is a way between a target and its server.
type passage struct {
	inside, outside string // names of the target's interface and the server's
	target, server  string // their addresses
}

var namespaces atomic.Int64

// newNamespace makes a namespace with both passages. The addresses are of TEST-NET-2 and 3, which
// nobody else uses.
func newNamespace(ctx context.Context) (_ *namespace, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	id := fmt.Sprintf("%d-%d", os.Getpid()%100_000, namespaces.Add(1))
	n := &namespace{name: "deltaup-" + id}
	// each namespace of a process has a /30 of its own, and so have most processes
	third := int(int64(os.Getpid())*8+namespaces.Load()) % 64 * 4
	for _, p := range []struct {
		passage  *passage
		name, of string
	}{{&n.pair, "p", "198.51.100"}, {&n.lines, "l", "203.0.113"}} {
		p.passage.inside, p.passage.outside = "d"+p.name+"t"+id, "d"+p.name+"s"+id
		p.passage.server = fmt.Sprintf("%s.%d", p.of, third+1)
		p.passage.target = fmt.Sprintf("%s.%d", p.of, third+2)
	}
	if n.relay, err = newRelay([2]string{n.lines.outside, n.lines.inside}); err != nil {
		return nil, err
	}
	steps := [][]string{
		{"ip", "netns", "add", n.name},
		{
			"ip", "link", "add", n.pair.outside, "type", "veth", "peer", "name", n.pair.inside,
			"netns", n.name,
		},
		{"ip", "link", "set", n.lines.inside, "netns", n.name},
		{"ip", "-n", n.name, "link", "set", "lo", "up"},
	}
	for _, p := range []passage{n.pair, n.lines} {
		steps = append(steps,
			[]string{"ip", "addr", "add", p.server + "/30", "dev", p.outside},
			[]string{"ip", "link", "set", p.outside, "up"},
			[]string{"ip", "-n", n.name, "addr", "add", p.target + "/30", "dev", p.inside},
			[]string{"ip", "-n", n.name, "link", "set", p.inside, "up"})
	}
	for _, s := range steps {
		if err := admin(ctx, s...); err != nil {
			return nil, errors.Join(err, n.remove())
		}
	}
	n.relay.start()
	return n, nil
}

// remove removes the namespace, and with it the interfaces.
func (n *namespace) remove() error {
	// the run may be cancelled
	return errors.Join(n.relay.close(), admin(context.Background(), "ip", "netns", "del", n.name))
}

// prefix is the prefix of commands that run in the namespace.
func (n *namespace) prefix() []string { return []string{"ip", "netns", "exec", n.name} }

// shape makes a line. server is the server's address on it, rest the part of the line that it leaves
// to a [link]: the relay carries lines with a rate; one without a rate leaves its delay to the link,
// so that what is measured there are the round trips of a tool and not those of TCP's slow start.
func (n *namespace) shape(ctx context.Context, line Line) (server string, rest Line) {
	if line.Rate == 0 {
		return n.pair.server, line
	}
	n.changes++
	n.relay.become(line, n.changes)
	n.forget(ctx)
	return n.lines.server, Line{}
}

// forget makes TCP forget what it has learned about the line before. ip fails when that is nothing.
func (n *namespace) forget(ctx context.Context) {
	_ = admin(ctx, "ip", "tcp_metrics", "flush", n.lines.target)
	_ = admin(ctx, "ip", "-n", n.name, "tcp_metrics", "flush", n.lines.server)
}

// admin runs a command of iproute2.
func admin(ctx context.Context, argv ...string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w%s", strings.Join(argv[:min(3, len(argv))], " "), err,
			lastLine(out))
	}
	return nil
}
