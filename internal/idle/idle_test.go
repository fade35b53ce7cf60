package idle

import (
	"testing"

	"golang.org/x/sys/unix"
)

// priorities are those of the calling thread: of its I/O, and of the processor (20 minus nice, as
// the call gives it).
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

// TestDo: fn is idle, and nobody else becomes so.
func TestDo(t *testing.T) {
	classBefore, niceBefore := priorities(t)
	var class, nice int
	Do(func(err error) { t.Error(err) }, func() { class, nice = priorities(t) })
	if class != classIdle || nice != niceMost {
		t.Errorf("class %d, nice %d", class, nice)
	}
	for range 100 { // whatever threads are there
		done := make(chan [2]int)
		go func() { c, n := priorities(t); done <- [2]int{c, n} }()
		if got := <-done; got != [2]int{classBefore, niceBefore} {
			t.Fatalf("others have %v, before %d and %d", got, classBefore, niceBefore)
		}
	}
}
