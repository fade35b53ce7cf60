package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Overwrite overwrites the beginning of f with p, by one write and one fsync. It is for files that
// a boot loader finds by their place on the disk, which a rename would change.
func Overwrite(f *os.File, p []byte) error {
	if err := announce(Action{Op: OpWrite, Path: f.Name()}); err != nil {
		return err
	}
	if _, err := f.WriteAt(p, 0); err != nil {
		return err
	}
	if err := announce(Action{Op: OpSync, Path: f.Name()}); err != nil {
		return err
	}
	return f.Sync()
}

// SyncFileSystem writes everything of a folder's file system to its final place on the disk, also
// what only the journal holds, and flushes the disk's cache. It is for boot loaders, which replay
// no journal.
//
// Linux does so only when asked twice. Ext4's syncfs commits the journal, flushes the disk's cache,
// and only then puts the metadata in place. Ext4's fsync of a folder only commits, and flushes
// nothing when everything is committed. FAT's syncfs flushes nothing; its fsync does. The second
// syncfs flushes what the first has put in place.
func SyncFileSystem(dir string) error {
	if err := announce(Action{Op: OpSyncFolder, Path: dir}); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer unix.Close(fd) // nothing was written
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

// SyncFolder makes the names in a folder durable, for files that others than File have written.
func SyncFolder(dir string) error {
	if err := announce(Action{Op: OpSyncFolder, Path: dir}); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // nothing was written
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // this file system (FUSE, CIFS) has no fsync of folders
	}
	return err
}
