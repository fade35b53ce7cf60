package bench

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// relay carries IP packets between two TUN devices, each in a network namespace of its own, as a
// line would: it delays, queues, drops and reorders them. What the kernels' TCP makes of that is
// real.
type relay struct {
	devices [2]tun.Device
	flights [2]*flight // from a device to the other
	work    sync.WaitGroup
	quit    chan struct{}
}

const (
	mtu = 1500 // bytes of a packet
	// headroom is what the device wants in front of a packet that is written, in bytes.
	headroom = 16
	// longestSleep bounds a sleep for the next packet, since one that comes meanwhile may arrive
	// before it.
	longestSleep = 500 * time.Microsecond
)

// newRelay makes two devices with these names. Whoever calls it moves them to their namespaces,
// gives them addresses and calls start.
func newRelay(names [2]string) (*relay, error) {
	r := &relay{quit: make(chan struct{})}
	for i, name := range names {
		d, err := openTUN(name)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.devices[i] = d
		r.flights[i] = &flight{way: newWay(Line{}, 0), some: make(chan struct{}, 1)}
	}
	return r, nil
}

// openTUN makes a TUN device that takes and gives segments larger than a packet. [tun.Device] cuts
// those that it reads and joins those that it writes, as network cards do.
func openTUN(name string) (tun.Device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("TUN device %s: %w", name, err), unix.Close(fd))
	}
	d, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("TUN device %s: %w", name, err)
	}
	return d, nil
}

// start starts to carry packets.
func (r *relay) start() {
	for i := range r.devices {
		r.work.Go(func() { r.read(r.devices[i], r.flights[i]) })
		r.work.Go(func() { r.write(r.devices[1-i], r.flights[i]) })
	}
}

// become makes the relay another line. With the same seed chance is the same for the same packets.
func (r *relay) become(line Line, seed uint64) {
	for i, f := range r.flights {
		f.become(newWay(line, seed+uint64(i)))
	}
}

// read puts the packets of a device under way until the device is closed.
func (r *relay) read(d tun.Device, f *flight) {
	packets, sizes := buffers(d.BatchSize(), mtu), make([]int, d.BatchSize())
	for {
		n, err := d.Read(packets, sizes, 0)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue // one packet that the device cannot give
		}
		now := time.Now()
		for i := range n {
			f.put(now, packets[i][:sizes[i]])
		}
	}
}

// write gives a device the packets that arrive, until close.
func (r *relay) write(d tun.Device, f *flight) {
	// so large that the device can join packets in them
	room := buffers(d.BatchSize(), headroom+1<<16)
	for {
		arrived, wait, more := f.take(time.Now(), len(room))
		batch := room[:len(arrived)]
		for i, p := range arrived {
			batch[i] = batch[i][:headroom+copy(batch[i][headroom:cap(batch[i])], p.data)]
		}
		if len(batch) > 0 {
			_, _ = d.Write(batch, headroom) // what the device refuses is lost, as on any line
		}
		switch {
		case more && wait > 0:
			// Go's timers are late by up to a millisecond when nothing else runs
			pause := unix.NsecToTimespec(int64(min(wait, longestSleep)))
			_ = unix.Nanosleep(&pause, nil) // an early end only looks again
		case !more:
			select {
			case <-f.some:
			case <-r.quit:
				return
			}
		}
		select {
		case <-r.quit:
			return
		default:
		}
	}
}

// buffers makes n buffers of size bytes.
func buffers(n, size int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = make([]byte, size)
	}
	return all
}

// close ends the relay and removes its devices.
func (r *relay) close() error {
	close(r.quit)
	var errs []error
	for _, d := range r.devices {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	r.work.Wait()
	return errors.Join(errs...)
}
