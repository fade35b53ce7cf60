// Command deltaup makes, publishes and pulls squashfs images.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// minFiles is how many files have to be open at once at least: with fewer the runtime crashes
// before anything can be told.
const minFiles = 12

// enoughFiles is how many open files suffice for every command.
const enoughFiles = 64

// grace is what a command has to end in order after a signal. Some waits do not see it: for a lock
// that another process holds, for a pipe that nobody writes to, for a disk that does not answer.
// Whatever is cut off then is continued by the same command, as after a power cut.
const grace = 5 * time.Second

const crashText = "crash: out of memory, or a bug of deltaup; report a bug with all that follows\n"

// crashNotice is printed before what the runtime says when it ends the process; main adds the
// version.
var crashNotice = []byte("deltaup: " + crashText)

func main() {
	crashNotice = fmt.Appendf(nil, "deltaup %s: %s", version(), crashText)
	captureLog(os.Stderr)
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Cur < minFiles {
		printf(os.Stderr, "deltaup: too many open files (ulimit -n permits %d; %d suffice)\n",
			files.Cur, enoughFiles)
		os.Exit(exitFailure)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // the next signal ends the process at once
		time.Sleep(grace)
		os.Exit(exitInterrupted)
	})
	os.Exit(run(ctx, osEnv(), os.Args[1:]))
}
