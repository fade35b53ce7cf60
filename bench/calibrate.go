package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// seenLine is what ping and iperf3 see of a line.
type seenLine struct {
	least, mean time.Duration // ping's round trips
	echoes      float64       // share of the echoes that came back
	tcp, udp    float64       // bits of payload a second, from the server to the target
	udpLost     float64       // share of the datagrams
	udpLate     int           // datagrams that others overtook
	datagrams   int
}

// Calibrate writes what ping and iperf3 see of the lines that the relay makes, beside what is
// wanted: each line of the report whole and with 1 and 5 % of the packets lost, and one whose
// packets overtake one another. With names only those lines. It wants a quiet machine. The error
// counts the lines that are off.
func Calibrate(ctx context.Context, w io.Writer, names []string) (err error) {
	n, err := newNamespace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.remove()) }()
	fmt.Fprintf(w, "%-16s %-34s %-20s %-17s %-14s %-28s\n", "", "line", "ping, least and mean",
		"echoes, wanted", "TCP", "UDP, lost, overtaken")
	off := 0
	for _, line := range calibrated(names) {
		seen, err := n.look(ctx, line.Line)
		if err != nil {
			return fmt.Errorf("%v: %w", line.Line, err)
		}
		verdict := "good"
		if wrong := seen.wrong(line.Line); len(wrong) > 0 {
			off++
			verdict = strings.Join(wrong, ", ")
		}
		fmt.Fprintf(w, "%-16s %-34v %9s %9s %7.1f %% %5.1f %% %14s %13s %4.1f %% %5d  %s\n", line.Name,
			line.Line, milliseconds(seen.least), milliseconds(seen.mean), 100*seen.echoes,
			100*line.echoes(), rateName(seen.tcp), rateName(seen.udp), 100*seen.udpLost, seen.udpLate,
			verdict)
	}
	if off > 0 {
		return fmt.Errorf("%d lines are not what they should be", off)
	}
	return nil
}

// calibrated are the lines of the report with these names, or all, with their losses.
func calibrated(names []string) []NamedLine {
	var all []NamedLine
	for _, l := range lines {
		if len(names) > 0 && !slices.Contains(names, l.Name) {
			continue
		}
		for _, l.Loss = range []float64{0, 0.01, 0.05} {
			all = append(all, l)
		}
		if l.Name == "LTE" {
			l.Loss, l.Reorder = 0, 0.01
			all = append(all, l)
		}
	}
	return all
}

// echoes is the share of the echoes that come back: both ways lose packets.
func (l Line) echoes() float64 { return (1 - l.Loss) * (1 - l.Loss) }

// datagram is the size of iperf3's datagrams, and datagramFrame what one takes on the line.
const (
	datagram      = 1400
	datagramFrame = datagram + 20 + 8 + frameHeader
	echoCount     = 400
)

// wrong says what is not as it should be: round trips less than the line's, or 3 ms and 5 % more;
// a rate 5 % beside the line's, for TCP where nothing is lost, after its slow start; and losses
// that chance does not explain, within four standard deviations.
func (s *seenLine) wrong(line Line) []string {
	var wrong []string
	note := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, what)
		}
	}
	chance := func(got, want float64, n int) bool {
		return math.Abs(got-want) <= 4*math.Sqrt(want*(1-want)/float64(n))+1/float64(n)
	}
	echo := time.Duration(2 * 98 * 8 / line.Rate * float64(time.Second))
	most := time.Duration(float64(line.RTT+echo)*1.05) + 3*time.Millisecond
	note(s.least < line.RTT, "early")
	note(s.mean > most, "late")
	note(!chance(s.echoes, line.echoes(), echoCount), "echoes")
	note(!line.lossy() && math.Abs(s.tcp*headerShare/line.Rate-1) > 0.05, "TCP's rate")
	sent := s.udp / (1 - s.udpLost)
	note(math.Abs(sent/line.udpRate()-1) > 0.05, "UDP's rate")
	note(!chance(s.udpLost, line.Loss, s.datagrams), "UDP's loss")
	note((s.udpLate > 0) != (line.Reorder > 0), "order")
	return wrong
}

// udpRate is the rate of payload that datagrams are sent at: four fifths of the line's, so that
// none waits for long, and at most what iperf3 can do on a weak machine.
func (l Line) udpRate() float64 { return min(0.8*l.Rate, 200e6) * datagram / datagramFrame }

// look measures a line.
func (n *namespace) look(ctx context.Context, line Line) (s seenLine, err error) {
	server, _ := n.shape(ctx, line)
	run := func(name string, args ...string) ([]byte, error) {
		h := host{prefix: n.prefix()}
		return h.output(ctx, name, args...)
	}
	pace := max(0.01, 4*98*8/line.Rate) // a quarter of the line at most
	out, err := run("ping", "-q", "-n", "-c", strconv.Itoa(echoCount), "-i", fmt.Sprintf("%.3f", pace),
		"-W", "5", server)
	if err != nil {
		return s, err
	}
	if err := s.readPing(out); err != nil {
		return s, err
	}
	daemon := exec.CommandContext(ctx, "iperf3", "--server", "--bind", server)
	if err := daemon.Start(); err != nil {
		return s, err
	}
	defer func() {
		_ = daemon.Process.Kill() // it has nothing to lose
		_ = daemon.Wait()
	}()
	// on a slow line enough packets, on a fast one enough time
	seconds := max(6, int(20*line.RTT.Seconds()), int(200*datagramFrame*8/line.Rate))
	iperf := func(args ...string) (sum iperfSum, err error) {
		args = append([]string{"--client", server, "--reverse", "--json", "--time",
			strconv.Itoa(seconds)}, args...)
		for range 40 { // until the server listens, or is done with the test before
			var out []byte
			if out, err = run("iperf3", args...); err == nil {
				if sum, err = readIperf(out); err == nil {
					break
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		return sum, err
	}
	// by small pieces, since iperf3 counts whole ones
	tcp, err := iperf("--congestion", congestion, "--length", "4K", "--omit",
		strconv.Itoa(2+int(20*line.RTT.Seconds())))
	if err != nil {
		return s, err
	}
	n.relay.become(line, n.changes) // without what waits for the line
	udp, err := iperf("--udp", "--length", strconv.Itoa(datagram), "--bitrate",
		fmt.Sprintf("%.0f", line.udpRate()))
	s.tcp, s.udp = tcp.Rate, udp.Rate
	s.datagrams, s.udpLost, s.udpLate = udp.Packets, udp.Percent/100, udp.late
	return s, err
}

var pingSummary = regexp.MustCompile(
	`(\d+) packets transmitted, (\d+) received(?s:.*)= ([\d.]+)/([\d.]+)/`)

// readPing reads the summary of ping.
func (s *seenLine) readPing(out []byte) error {
	m := pingSummary.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("ping: its output is %.300q", out)
	}
	var v [4]float64
	for i := range v {
		v[i], _ = strconv.ParseFloat(string(m[i+1]), 64) // the expression matches numbers only
	}
	s.echoes = v[1] / v[0]
	s.least = time.Duration(v[2] * float64(time.Millisecond))
	s.mean = time.Duration(v[3] * float64(time.Millisecond))
	return nil
}

// iperfSum is what iperf3 received.
type iperfSum struct {
	Rate    float64 `json:"bits_per_second"`
	Packets int     `json:"packets"`
	Percent float64 `json:"lost_percent"`
	late    int     // datagrams that others overtook
}

// readIperf reads the output of iperf3, whose failure is in it.
func readIperf(out []byte) (iperfSum, error) {
	var all struct {
		Error string `json:"error"`
		End   struct {
			Received iperfSum `json:"sum_received"`
			Streams  []struct {
				UDP struct {
					Late int `json:"out_of_order"`
				} `json:"udp"`
			} `json:"streams"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return iperfSum{}, fmt.Errorf("iperf3: %w", err)
	}
	if all.Error != "" {
		return iperfSum{}, fmt.Errorf("iperf3: %s", all.Error)
	}
	for _, s := range all.End.Streams {
		all.End.Received.late += s.UDP.Late
	}
	return all.End.Received, nil
}
