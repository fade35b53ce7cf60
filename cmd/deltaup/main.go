// Command deltaup makes, publishes and pulls squashfs images.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	crashNotice = fmt.Appendf(nil, "deltaup %s: %s", version(), crashText)
	captureLog(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, osEnv(), os.Args[1:]))
}
