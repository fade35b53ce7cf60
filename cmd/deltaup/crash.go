//go:build !race

package main

import (
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The race detector cannot follow what runs within the runtime: its builds go without.

// overrideWrite is the hook of Go's runtime for its own output. It is set before any code runs, so
// that a runtime that finds no memory at its very start comes by here, too.
//
//go:linkname overrideWrite runtime.overrideWrite
var overrideWrite = writeRuntime

var crashNoticed atomic.Bool

// writeRuntime is write(2), which the runtime also uses for its pipes. What it writes to standard
// error are its last words: it would exit with 2, the code of a wrong command line, and raises
// SIGABRT instead when it is told so between these words and the end.
//
//go:nosplit
func writeRuntime(fd uintptr, p unsafe.Pointer, n int32) int32 {
	if fd == 2 {
		debug.SetTraceback("crash")
		if crashNoticed.CompareAndSwap(false, true) {
			// What is lost here cannot be told to anybody.
			_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, fd,
				uintptr(unsafe.Pointer(&crashNotice[0])), uintptr(len(crashNotice)))
		}
	}
	written, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(p), uintptr(n))
	if errno != 0 {
		return -int32(errno)
	}
	return int32(written)
}
