package grubenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// lockPoll is how often Change tries to lock a file that somebody else has locked.
const lockPoll = 50 * time.Millisecond

// Read gives the block in the file at path.
func Read(path string) (*Block, error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing is lost with its error
	_, block, err := read(f)
	return block, err
}

// read is what f holds, as bytes too.
func read(f *os.File) ([]byte, *Block, error) {
	b, err := io.ReadAll(io.LimitReader(f, Size+1))
	if err != nil {
		return nil, nil, err
	}
	block, err := Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return b, block, nil
}

// Change lets change alter the block in the file at path, and writes it back in place, by one write
// of Size bytes and one fsync: GRUB does not see a renamed file before somebody replays the
// journal. Nothing is written when nothing changes or change fails; an error of change is given as
// it is. The file is locked meanwhile; the end of ctx ends the wait for the lock.
func Change(ctx context.Context, path string, change func(*Block) error) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := lock(ctx, f); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	old, block, err := read(f)
	if err != nil {
		return err
	}
	before := *block
	before.vars = append([]variable(nil), block.vars...)
	if err := change(block); err != nil {
		return err
	}
	after, err := block.Marshal()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if was, err := before.Marshal(); bytes.Equal(old, after) ||
		err == nil && bytes.Equal(was, after) {
		return nil
	}
	return durable.Overwrite(f, after)
}

// lock waits until f is this process's.
func lock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}
