package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// namespace is a target's network: a pair of virtual interfaces, whose rate and delay the kernel
// shapes with tc. It needs root, iproute2 and the kernel's tbf. Where the kernel lacks netem, a
// [link] makes the delay.
type namespace struct {
	name, inside, outside string // names of the namespace, its interface and the server's interface
	address               string // the server's address
	netem                 bool   // the kernel can delay packets
}

// newNamespace makes a namespace without shaping, with addresses of TEST-NET-2.
func newNamespace(ctx context.Context) (*namespace, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	id := os.Getpid() % 100_000
	n := &namespace{
		name:    fmt.Sprintf("deltaup-%d", id),
		inside:  fmt.Sprintf("dut%d", id),
		outside: fmt.Sprintf("dus%d", id),
	}
	third := os.Getpid() % 64 * 4 // each process has a /30 of 198.51.100.0/24
	n.address = fmt.Sprintf("198.51.100.%d", third+1)
	target := fmt.Sprintf("198.51.100.%d/30", third+2)
	steps := [][]string{
		{"ip", "netns", "add", n.name},
		{"ip", "link", "add", n.outside, "type", "veth", "peer", "name", n.inside, "netns", n.name},
		{"ip", "addr", "add", n.address + "/30", "dev", n.outside},
		{"ip", "link", "set", n.outside, "up"},
		{"ip", "-n", n.name, "addr", "add", target, "dev", n.inside},
		{"ip", "-n", n.name, "link", "set", n.inside, "up"},
		{"ip", "-n", n.name, "link", "set", "lo", "up"},
	}
	for _, s := range steps {
		if err := admin(ctx, s...); err != nil {
			return nil, errors.Join(err, n.remove())
		}
	}
	n.netem = n.tc(ctx, n.outside, "netem", "delay", "1ms") == nil
	if err := n.shape(ctx, Line{Rate: 1e9}); err != nil {
		return nil, errors.Join(err, n.remove())
	}
	return n, nil
}

// remove removes the namespace, and with it both interfaces.
func (n *namespace) remove() error {
	// the run may be cancelled
	return admin(context.Background(), "ip", "netns", "del", n.name)
}

// prefix is the prefix of commands that run in the namespace.
func (n *namespace) prefix() []string { return []string{"ip", "netns", "exec", n.name} }

// shape shapes the interfaces like a line. Rate 0 removes shaping. rest gives the part that it
// leaves to a [link].
func (n *namespace) shape(ctx context.Context, line Line) error {
	return errors.Join(n.tc(ctx, n.outside, n.discipline(line)...),
		n.tc(ctx, n.inside, n.discipline(line)...))
}

// rest is the part of a line that shape leaves to a [link].
func (n *namespace) rest(line Line) Line {
	if n.netem {
		return Line{}
	}
	return Line{RTT: line.RTT}
}

// discipline gives the arguments of tc for one direction of a line.
func (n *namespace) discipline(line Line) []string {
	half := line.RTT / 2
	switch {
	case n.netem && line.Rate > 0:
		return []string{
			"netem",
			"delay",
			half.String(),
			"rate",
			fmt.Sprintf("%.0fbit", line.Rate),
			"limit",
			"10000",
		}
	case n.netem:
		return []string{"netem", "delay", half.String(), "limit", "100000"}
	case line.Rate > 0:
		// bytes of a hundredth of a second, by which a timer may be late; at least two packets
		burst := max(4<<10, line.Rate/8/100)
		queue := max(64<<10, line.Rate/8*0.2)
		return []string{
			"tbf",
			"rate",
			fmt.Sprintf("%.0fbit", line.Rate),
			"burst",
			fmt.Sprintf("%.0f", burst),
			"limit",
			fmt.Sprintf("%.0f", queue),
		}
	}
	return []string{"pfifo", "limit", "10000"}
}

// tc sets an interface's queueing discipline.
func (n *namespace) tc(ctx context.Context, dev string, discipline ...string) error {
	args := []string{"tc"}
	if dev == n.inside {
		args = append(args, "-n", n.name)
	}
	return admin(
		ctx,
		append(append(args, "qdisc", "replace", "dev", dev, "root"), discipline...)...)
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
