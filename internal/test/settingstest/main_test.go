package settingstest

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// crippledName is the first argument of the test's program when it starts another one.
const crippledName = "crippled"

// crippled are the first arguments with which the test's program starts another one, in which some
// system calls do nothing and tell that all went well.
func crippled(calls []uint32) []string {
	var names []string
	for _, c := range calls {
		names = append(names, fmt.Sprint(c))
	}
	return []string{crippledName, strings.Join(names, ",")}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == crippledName {
		fmt.Fprintln(os.Stderr, start(os.Args[2], os.Args[3:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start replaces this program by another one. It returns only when that fails.
func start(without string, args []string) error {
	// One of Linux's small programs decides on each call: seccomp(2). It is for this thread, and the
	// program that takes its place.
	runtime.LockOSThread()
	if without != "" {
		filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
		for name := range strings.SplitSeq(without, ",") {
			call, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				return err
			}
			filter = append(filter,
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(call)},
				unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO}) // error 0
		}
		filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
			return err
		}
	}
	return unix.Exec(args[0], args, os.Environ())
}
