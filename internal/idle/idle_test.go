package idle

import (
	"testing"

	"golang.org/x/sys/unix"
)

// priorities gives the I/O class of the calling thread, and 20 minus its nice value, as the system
// call does.
func priorities(t *testing.T) (class, nice int) {
	t.Helper()
	io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return int(io >> classShift), 20 - n
}

// TestDo demands that fn is idle, and that no other thread becomes idle.
func TestDo(t *testing.T) {
	classBefore, niceBefore := priorities(t)
	var class, nice int
	Do(func(err error) { t.Error(err) }, func() { class, nice = priorities(t) })
	if class != classIdle || nice != niceMost {
		t.Errorf("class %d, nice %d", class, nice)
	}
	for range 100 { // look at as many threads as there may be
		done := make(chan [2]int)
		go func() { c, n := priorities(t); done <- [2]int{c, n} }()
		if got := <-done; got != [2]int{classBefore, niceBefore} {
			t.Fatalf("others have %v, before %d and %d", got, classBefore, niceBefore)
		}
	}
}
