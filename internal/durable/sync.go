package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Overwrite writes p over the beginning of a file that was opened for writing, with one write and
// one fsync: for files that a boot loader finds by their place on the disk.
func Overwrite(f *os.File, p []byte) error {
	if err := step(Step{Op: OpWrite, Path: f.Name()}); err != nil {
		return err
	}
	if _, err := f.WriteAt(p, 0); err != nil {
		return err
	}
	if err := step(Step{Op: OpSync, Path: f.Name()}); err != nil {
		return err
	}
	return f.Sync()
}

// SyncFileSystem writes back everything of the file system that a folder lies on, what its journal
// holds included, to its place on the disk, and has the disk empty its cache behind it: for boot
// loaders, which replay no journal.
//
// Linux does so only when asked twice. Ext4's syncfs commits the journal, flushes the disk's cache,
// and then puts the metadata in place; its fsync of a folder commits alone, and flushes nothing
// when all is committed. FAT's syncfs flushes nothing, its fsync does. The second syncfs flushes
// what the first has put in place.
func SyncFileSystem(dir string) error {
	if err := step(Step{Op: OpSyncFolder, Path: dir}); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer unix.Close(fd) // read only
	for n := 0; n < 2 && err == nil; n++ {
		if err = unix.Syncfs(fd); err == nil {
			err = unix.Fsync(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// SyncFolder makes the names in a folder durable, for files that are not written
// through File.
func SyncFolder(dir string) error {
	if err := step(Step{Op: OpSyncFolder, Path: dir}); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // read only: nothing is lost with its error
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // a file system (FUSE, CIFS) that has no fsync of folders
	}
	return err
}
