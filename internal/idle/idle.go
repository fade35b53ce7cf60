// Package idle does work that has time: it gives way to whatever else wants the processor or the
// disk.
package idle

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// What ioprio_set(2) takes, of which package unix has no constants.
const (
	whoProcess = 1
	classShift = 13
	classIdle  = 3
)

// niceMost is the least claim on the processor.
const niceMost = 19

// Do runs fn on a thread of its own, which reads from disks only when nobody else does (schedulers
// that know classes, such as BFQ, see to that) and has the lowest priority at the processor.
// Goroutines that fn starts run as others do. It returns when fn has.
//
// An error of the kernel's, which some sandboxes forbid to ask, is passed to warn, and fn runs all
// the same.
func Do(warn func(error), fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// and never unlocked: the thread, which cannot get its priority back, ends with the
		// goroutine
		runtime.LockOSThread()
		if err := lower(); err != nil {
			warn(err)
		}
		fn()
	}()
	<-done
}

// lower is for the calling thread.
func lower() error {
	var disk, processor error // a sandbox may forbid one of them
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle<<classShift); errno != 0 {
		disk = fmt.Errorf("idle I/O priority: %w", errno)
	}
	// 0: the calling thread, as Linux has it
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceMost); err != nil {
		processor = fmt.Errorf("nice: %w", err)
	}
	return errors.Join(disk, processor)
}
