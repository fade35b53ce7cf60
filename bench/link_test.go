package bench

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestLink sends through a link in a synctest bubble, whose clock is exact.
func TestLink(t *testing.T) {
	for _, tt := range []struct {
		name string
		line Line
		send int
		want time.Duration // the time until the last byte arrives
	}{
		{"nothing", Line{}, 100_000, 0},
		{"rate", Line{Rate: 80_000}, 20_000, 2 * time.Second},
		{"round trip, and one to connect", Line{RTT: time.Second}, 20_000, 2 * time.Second},
		{"both", Line{Rate: 80_000, RTT: time.Second}, 20_000, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newLink(tt.line)
				near, far := net.Pipe()
				c := k.conn(near)
				data := bytes.Repeat([]byte("0123456789"), tt.send/10)
				start := time.Now()
				go func() {
					if _, err := c.Write(data); err != nil {
						t.Error(err)
					}
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}()
				got, err := io.ReadAll(far)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes arrive of %d: %v", len(got), len(data), err)
				}
				k.pumps.Wait()
				if took := time.Since(start); took < tt.want-paceBurst || took > tt.want+time.Millisecond {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				if n := k.sent.Load(); n != int64(tt.send) {
					t.Errorf("%d bytes counted, want %d", n, tt.send)
				}
			})
		})
	}
}

// TestLinkShares has two connections share a line.
func TestLinkShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLink(Line{Rate: 80_000})
		start := time.Now()
		for range 2 {
			near, far := net.Pipe()
			c := k.conn(near)
			go func() {
				_, _ = c.Write(make([]byte, 10_000)) // a failure shows in the count
				_ = c.Close()
			}()
			go io.Copy(io.Discard, far)
		}
		k.pumps.Wait()
		if took := time.Since(start); took < 2*time.Second-paceBurst || took > 2*time.Second+time.Millisecond {
			t.Errorf("20 kB at 10 kB/s took %v", took)
		}
		if n := k.sent.Load(); n != 20_000 {
			t.Errorf("%d bytes counted", n)
		}
	})
}

// TestLinkUp demands that the line paces what the target sends.
func TestLinkUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLink(Line{Rate: 80_000})
		near, far := net.Pipe()
		c := k.conn(near)
		go func() {
			_, _ = far.Write(make([]byte, 10_000)) // a failure shows in the count
			_ = far.Close()
		}()
		start := time.Now()
		n, err := io.Copy(io.Discard, c)
		if err != nil || n != 10_000 || k.received.Load() != n {
			t.Errorf("%d bytes, %d counted, %v", n, k.received.Load(), err)
		}
		if took := time.Since(start); took < time.Second-paceBurst || took > time.Second+time.Millisecond {
			t.Errorf("10 kB at 10 kB/s took %v", took)
		}
		_ = c.Close()
		k.pumps.Wait()
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
	})
}
