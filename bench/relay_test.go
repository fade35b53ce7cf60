package bench

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWay drives the relay's core with a time of its own.
func TestWay(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	lte := Line{Rate: 10e6, RTT: 50 * time.Millisecond}
	const n = 1486 // bytes of a packet, and with its header on the line 1500
	gap := time.Duration(1500 * 8 / lte.Rate * float64(time.Second))

	t.Run("delay", func(t *testing.T) {
		w := newWay(lte, 1)
		now := start
		for range 1000 { // slower than the line, so that none waits
			due, ok := w.carry(now, n)
			if took := due.Sub(now); !ok || took < lte.RTT/2 || took > lte.RTT/2+gap {
				t.Fatalf("%v, %v", took, ok)
			}
			now = now.Add(2 * gap)
		}
	})
	t.Run("rate", func(t *testing.T) {
		w := newWay(lte, 1)
		const packets = 10_000
		last := start
		for i := range packets { // a little faster than the line
			due, ok := w.carry(start.Add(time.Duration(i)*gap*999/1000), n)
			if !ok || due.Before(last) {
				t.Fatalf("packet %d: %v after %v", i, due.Sub(start), last.Sub(start))
			}
			last = due
		}
		want := packets*gap + lte.RTT/2
		if took := last.Sub(start); took < want-catchUp || took > want+gap {
			t.Errorf("%v, want %v", took, want)
		}
	})
	t.Run("queue", func(t *testing.T) {
		for _, line := range []Line{lte, {Rate: 64e3, RTT: 600 * time.Millisecond}, {Rate: 1e9, RTT: 50 * time.Millisecond}} {
			w := newWay(line, 1)
			carried := 0
			for range 100_000 { // all at once
				if _, ok := w.carry(start, n); ok {
					carried++
				}
			}
			want := (line.queue() + catchUp.Seconds()*line.Rate/8) / 1500
			if math.Abs(float64(carried)-want) > 1 || w.full != 100_000-carried {
				t.Errorf("%v: %d packets wait, want %.0f; %d had no room", line, carried, want, w.full)
			}
			if _, ok := w.carry(start.Add(time.Minute), n); !ok {
				t.Errorf("%v: an empty queue has no room", line)
			}
		}
	})
	t.Run("chance", func(t *testing.T) {
		for _, line := range []Line{{RTT: time.Second, Loss: 0.01}, {RTT: time.Second, Loss: 0.05}, {RTT: time.Second, Loss: 0.05, Reorder: 0.02}} {
			const packets = 100_000
			run := func(seed uint64) (lost []int, w *way) {
				w = newWay(line, seed)
				for i := range packets {
					if _, ok := w.carry(start, n); !ok {
						lost = append(lost, i)
					}
				}
				return lost, w
			}
			lost, w := run(7)
			again, _ := run(7)
			other, _ := run(8)
			want := line.Loss * packets
			if math.Abs(float64(len(lost))-want) > 4*math.Sqrt(want) || w.lost != len(lost) {
				t.Errorf("%v: %d lost of %d", line, len(lost), packets)
			}
			if want := line.Reorder * packets; math.Abs(float64(w.late)-want) > 4*math.Sqrt(want) {
				t.Errorf("%v: %d overtaken of %d", line, w.late, packets)
			}
			if !slices.Equal(lost, again) || slices.Equal(lost, other) {
				t.Errorf("%v: chance is not that of the seed", line)
			}
		}
	})
}

// TestFlight demands that packets arrive when they are due and in that order, those that others
// overtake as well, and that none is under way on a new line.
func TestFlight(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	line := Line{RTT: 100 * time.Millisecond, Reorder: 0.2}
	f := &flight{way: newWay(line, 3), some: make(chan struct{}, 1)}
	const packets = 200
	for i := range packets {
		f.put(start.Add(time.Duration(i)*time.Millisecond), []byte{byte(i)})
	}
	if early, wait, ok := f.take(start.Add(line.RTT/2-1), packets); len(early) > 0 || !ok || wait < 1 {
		t.Errorf("%d packets before half a round trip, the next in %v", len(early), wait)
	}
	seen, overtaken, last := map[byte]bool{}, 0, byte(0)
	for now := start; len(seen) < packets && now.Before(start.Add(time.Second)); now = now.Add(time.Millisecond) {
		arrived, _, _ := f.take(now, 3)
		for _, p := range arrived {
			if p.due.After(now) || seen[p.data[0]] {
				t.Fatalf("packet %d at %v, due %v", p.data[0], now.Sub(start), p.due.Sub(start))
			}
			if seen[p.data[0]] = true; p.data[0] < last {
				overtaken++
			}
			last = max(last, p.data[0])
		}
	}
	if len(seen) != packets || overtaken != f.way.late {
		t.Errorf("%d packets arrive, %d of them late, want %d and %d", len(seen), overtaken, packets, f.way.late)
	}
	f.put(start, []byte{1})
	f.become(newWay(line, 3))
	if got, _, ok := f.take(start.Add(time.Hour), 1); len(got) > 0 || ok {
		t.Error("a packet of the line before arrives")
	}
}

// TestRelay pings over a relay. It demands no round trip shorter than the line's, and with all
// packets lost none at all; how much longer they are depends on the machine's other work.
func TestRelay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range []string{"ip", "ping"} {
		if _, err := findTool(tool); err != nil {
			if os.Getenv("DELTAUP_TEST_ALL") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	n, err := newNamespace(t.Context())
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.remove(); err != nil {
			t.Error(err)
		}
		out, err := exec.Command("ip", "link").CombinedOutput()
		if err != nil || strings.Contains(string(out), n.lines.outside) || strings.Contains(string(out), n.pair.outside) {
			t.Errorf("%v: left behind: %s", err, out)
		}
	}()
	second, err := newNamespace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.lines.server == n.lines.server || second.pair.server == n.pair.server {
		t.Errorf("two namespaces have the address %s", n.lines.server)
	}
	if err := second.remove(); err != nil {
		t.Error(err)
	}
	ping := func(ctx context.Context, line Line) (s seenLine, err error) {
		server, _ := n.shape(ctx, line)
		h := host{prefix: n.prefix()}
		out, err := h.output(ctx, "ping", "-q", "-n", "-c", "5", "-i", "0.02", "-W", "3", server)
		if err != nil {
			return s, err
		}
		return s, s.readPing(out)
	}
	line := Line{Rate: 1e6, RTT: 80 * time.Millisecond}
	if s, err := ping(t.Context(), line); err != nil || s.least < line.RTT || s.echoes == 0 {
		t.Errorf("%v: %+v, %v", line, s, err)
	}
	line.Loss = 1
	if s, err := ping(t.Context(), line); err == nil {
		t.Errorf("%v: %+v", line, s)
	}
}

// TestCalibration demands that the figures of a line that is as it should be pass, and each figure
// that is not is named.
func TestCalibration(t *testing.T) {
	line := Line{Rate: 10e6, RTT: 50 * time.Millisecond}
	good := seenLine{
		least: 50100 * time.Microsecond, mean: 51 * time.Millisecond, echoes: 1, tcp: 9.55e6,
		udp: line.udpRate(), datagrams: 1000,
	}
	if wrong := good.wrong(line); len(wrong) > 0 {
		t.Error(wrong)
	}
	for want, spoil := range map[string]func(*seenLine){
		"early":      func(s *seenLine) { s.least = 49 * time.Millisecond },
		"late":       func(s *seenLine) { s.mean = 60 * time.Millisecond },
		"echoes":     func(s *seenLine) { s.echoes = 0.98 },
		"TCP's rate": func(s *seenLine) { s.tcp = 8e6 },
		"UDP's rate": func(s *seenLine) { s.udp *= 0.9 },
		"UDP's loss": func(s *seenLine) { s.udpLost, s.udp = 0.01, s.udp*0.99 },
		"order":      func(s *seenLine) { s.udpLate = 3 },
	} {
		s := good
		spoil(&s)
		if wrong := s.wrong(line); len(wrong) != 1 || wrong[0] != want {
			t.Errorf("%q, want %s", wrong, want)
		}
	}
	var s seenLine
	if err := s.readPing([]byte("5 packets transmitted, 4 received, 20% packet loss, time 80ms\nrtt min/avg/max/mdev = 50.1/52.3/60.0/1.0 ms\n")); err != nil || s.echoes != 0.8 || s.least != 50100*time.Microsecond {
		t.Errorf("%+v, %v", s, err)
	}
	for _, out := range []string{"", "5 packets transmitted, 0 received"} {
		if err := s.readPing([]byte(out)); err == nil {
			t.Errorf("ping: %q is accepted", out)
		}
	}
	sum, err := readIperf([]byte(`{"end": {"streams": [{"udp": {"out_of_order": 7}}], "sum_received": {"bits_per_second": 9.5, "packets": 3, "lost_percent": 50}}}`))
	if err != nil || sum.Rate != 9.5 || sum.Packets != 3 || sum.Percent != 50 || sum.late != 7 {
		t.Errorf("%+v, %v", sum, err)
	}
	for _, out := range []string{"", `{"error": "the server is busy"}`} {
		if _, err := readIperf([]byte(out)); err == nil {
			t.Errorf("iperf3: %q is accepted", out)
		}
	}
	if all := calibrated([]string{"LTE"}); len(all) != 4 || all[3].Reorder == 0 || all[3].Loss != 0 {
		t.Errorf("%v", all)
	}
}
