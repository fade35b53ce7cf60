package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// namespace is a target's network. Two passages lead from it to the server: a [relay], and a pair
// of virtual interfaces for what needs no relay. It needs root, iproute2 and /dev/net/tun.
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

// Networks of the passages: TEST-NET-2 and 3, which nobody else uses.
const (
	pairNetwork  = "198.51.100"
	linesNetwork = "203.0.113"
)

// freeNetwork is the number of a /30 that no interface here has in the networks of the passages.
// Others may look at the same time, so each process begins elsewhere.
func freeNetwork() (int, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0, err
	}
	for i := range 64 {
		n := (os.Getpid()*7 + i) % 64
		used := slices.ContainsFunc(addresses, func(a net.Addr) bool {
			s := a.String()
			return s == fmt.Sprintf("%s.%d/30", pairNetwork, 4*n+1) ||
				s == fmt.Sprintf("%s.%d/30", linesNetwork, 4*n+1)
		})
		if !used {
			return n, nil
		}
	}
	return 0, errors.New("all 64 networks for targets are in use")
}

// making is held while a namespace takes its addresses.
var making sync.Mutex

// newNamespace makes a namespace with both passages.
func newNamespace(ctx context.Context) (_ *namespace, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	making.Lock()
	defer making.Unlock()
	id := fmt.Sprintf("%d-%d", os.Getpid()%100_000, namespaces.Add(1))
	n := &namespace{name: "deltaup-" + id}
	third, err := freeNetwork()
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		passage  *passage
		name, of string
	}{{&n.pair, "p", pairNetwork}, {&n.lines, "l", linesNetwork}} {
		p.passage.inside, p.passage.outside = "d"+p.name+"t"+id, "d"+p.name+"s"+id
		p.passage.server = fmt.Sprintf("%s.%d", p.of, 4*third+1)
		p.passage.target = fmt.Sprintf("%s.%d", p.of, 4*third+2)
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

// Over runs a command at the target's end of a line. Its environment has the server's address on
// the line as LINE_SERVER.
func Over(ctx context.Context, line Line, argv []string) (err error) {
	n, err := newNamespace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.remove()) }()
	server, _ := n.shape(ctx, line)
	argv = append(n.prefix(), argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "LINE_SERVER="+server)
	return cmd.Run()
}

// remove removes the interfaces and the namespace. The kernel takes its time with what is in it, so
// that the interfaces go first.
func (n *namespace) remove() error {
	ctx := context.Background() // the run may be cancelled
	return errors.Join(
		n.relay.close(), admin(ctx, "ip", "link", "del", n.pair.outside),
		admin(ctx, "ip", "netns", "del", n.name))
}

// prefix is the prefix of commands that run in the namespace.
func (n *namespace) prefix() []string { return []string{"ip", "netns", "exec", n.name} }

// shape makes a line. server is the server's address on it, rest the part of the line that it
// leaves to a [link]: the relay carries lines with a rate; one without a rate leaves its delay to
// the link, so that what is measured there are the round trips of a tool and not those of TCP's
// slow start.
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
