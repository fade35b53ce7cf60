package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// handoverName is the abstract socket at which the recorder in the initramfs waits for the recorder
// that goes on. It lies in no file system, so it survives switch_root.
const handoverName = "@deltaup-trace"

// handoverTimeout is how long one trace may take to cross the socket.
const handoverTimeout = 10 * time.Second

// RecordUntilTaken records in the initramfs until a later process takes the recording over with
// [RecordOn]. It sends that process the trace and returns nil. When ctx ends first it returns ctx's
// error.
func RecordUntilTaken(ctx context.Context, o RecordOptions) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", handoverName)
	if err != nil {
		return fmt.Errorf("wait for the handover: %w", err)
	}
	defer l.Close()
	recording, taken := context.WithCancel(ctx)
	defer taken()
	var t *Trace
	var conn net.Conn
	g, recording := errgroup.WithContext(recording)
	g.Go(func() error {
		var err error
		t, err = recordReads(recording, o)
		return err
	})
	g.Go(func() error {
		defer context.AfterFunc(recording, func() { l.Close() })()
		var err error
		if conn, err = acceptOwn(l); err != nil && recording.Err() == nil {
			return fmt.Errorf("wait for the handover: %w", err)
		}
		taken()
		return nil
	})
	err = g.Wait()
	if conn == nil {
		return cmp.Or(err, ctx.Err())
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	return errors.Join(sendTrace(conn, t), conn.Close())
}

// acceptOwn waits for a connection of this process's own user and turns away all others.
func acceptOwn(l net.Listener) (net.Conn, error) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil, err
		}
		if ownPeer(conn) == nil {
			return conn, nil
		}
		conn.Close() // turned away
	}
}

// ownPeer checks that the other end belongs to this process's own user. An abstract socket has no
// owner, so anybody may have made it first.
func ownPeer(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, credErr); err != nil {
		return err
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("the recorder at %s belongs to user %d", handoverName, cred.Uid)
	}
	return nil
}

func sendTrace(conn net.Conn, t *Trace) error {
	if err := conn.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return err
	}
	if _, err := t.WriteTo(conn); err != nil {
		return fmt.Errorf("hand the trace over: %w", err)
	}
	return nil
}

// takeOver ends a recording that RecordUntilTaken began and gives its trace, or an empty trace when
// there is none. Start another recording first, so that nothing is missed, and join the two traces.
func takeOver(ctx context.Context) (*Trace, error) {
	conn, err := (&net.Dialer{Timeout: handoverTimeout}).DialContext(ctx, "unix", handoverName)
	if errors.Is(err, unix.ECONNREFUSED) {
		return &Trace{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take the early trace over: %w", err)
	}
	defer conn.Close() // nothing was written
	if err = ownPeer(conn); err == nil {
		err = conn.SetDeadline(time.Now().Add(handoverTimeout))
	}
	var t *Trace
	if err == nil {
		t, err = parse(io.LimitReader(conn, 1<<30))
	}
	if err != nil {
		return nil, fmt.Errorf("take the early trace over: %w", err)
	}
	return t, nil
}

// RecordOn records the system after the initramfs: it takes over from a recording there, if
// there is one, and ends when wait returns or ctx ends. When wait fails it returns both the trace
// and wait's error.
func RecordOn(ctx context.Context, o RecordOptions,
	wait func(context.Context) error) (*Trace, error) {
	recording, stop := context.WithCancel(ctx)
	defer stop()
	started := make(chan struct{})
	o.Started = func() { close(started) }
	var waited errgroup.Group
	early := &Trace{}
	waited.Go(func() error {
		defer stop()
		select {
		case <-started:
		case <-recording.Done():
			return nil
		}
		t, err := takeOver(recording)
		if err != nil {
			return err
		}
		early = t
		if err := wait(recording); err != nil && recording.Err() == nil {
			return err
		}
		return nil
	})
	t, err := recordReads(recording, o)
	stop()
	waitErr := waited.Wait()
	if err != nil {
		return nil, err
	}
	return join(early, t), waitErr
}

// join joins two traces of one boot. Of a file in both, the earlier first access counts.
func join(earlier, later *Trace) *Trace {
	joined := &Trace{Lost: earlier.Lost + later.Lost}
	index := make(map[string]int)
	for _, t := range []*Trace{earlier, later} {
		for _, f := range t.Files {
			i, ok := index[f.Path]
			if !ok {
				index[f.Path] = len(joined.Files)
				joined.Files = append(joined.Files, f)
				continue
			}
			known := &joined.Files[i]
			known.First = min(known.First, f.First)
			known.ranges = joinRanges(
				append(known.ranges[:len(known.ranges):len(known.ranges)], f.ranges...),
			)
		}
	}
	joined.sort()
	return joined
}
