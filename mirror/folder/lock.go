package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/mirror"
)

// lockPoll is how long a waiting publisher sleeps between two attempts.
const lockPoll = 200 * time.Millisecond

// lock takes the lock of the mirror in dir, which the kernel frees when its holder dies. It is
// [Folder.Lock] for a folder that is there.
func lock(ctx context.Context, dir string, wait func()) (unlock func(), err error) {
	// The file stays behind: removing it would let two publishers lock two files of that name.
	f, err := os.OpenFile(filepath.Join(dir, mirror.LockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the mirror: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock the mirror %s: %w", dir, err)
		}
		if wait == nil {
			f.Close()
			return nil, fmt.Errorf("mirror %s: %w", dir, mirror.ErrBusy)
		}
		wait()
		wait = func() {}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for the mirror %s: %w", dir, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
