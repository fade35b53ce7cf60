// Package idle does work that can wait. The work gives way to everything else that wants the
// processor or the disk.
package idle

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Arguments of ioprio_set(2), for which package unix has no constants.
const (
	whoProcess = 1
	classShift = 13
	classIdle  = 3
)

// niceMost is the nice value with the lowest priority.
const niceMost = 19

// Do runs fn and returns when fn returns. fn runs on a thread of its own, with the lowest priority
// for the processor. The thread reads from disks only when nobody else does, with schedulers that
// know classes, such as BFQ. Goroutines that fn starts have normal priority.
//
// When the kernel refuses the priorities, as in some sandboxes, Do passes the error to warn and
// runs fn all the same.
func Do(warn func(error), fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlock the thread: it cannot get its priority back, so it must end with the
		// goroutine.
		runtime.LockOSThread()
		if err := lower(); err != nil {
			warn(err)
		}
		fn()
	}()
	<-done
}

// lower lowers the priorities of the calling thread.
func lower() error {
	var disk, processor error // a sandbox may forbid only one of them
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle<<classShift); errno != 0 {
		disk = fmt.Errorf("idle I/O priority: %w", errno)
	}
	// 0 means the calling thread, on Linux
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceMost); err != nil {
		processor = fmt.Errorf("nice: %w", err)
	}
	return errors.Join(disk, processor)
}
